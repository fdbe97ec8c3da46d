//! The to-do list by command.

use bridge::time::UnixMillis;

use super::{Reply, Run};
use crate::{
    archive::TodoState,
    call::todo,
    commands::TodoFilter,
    text::{self, TodoLine},
};

/// A list has no more lines; the newest are shown.
const MOST: usize = 30;

impl Run<'_> {
    pub(super) async fn todos(&self, filter: TodoFilter) -> anyhow::Result<Reply> {
        let (room, sender) = (&self.message.room, self.message.sender.as_str());
        let called = self.facts.names.get(sender).map(String::as_str);
        let mut shown: Vec<_> = self
            .house
            .archive
            .todos(room)
            .await?
            .into_iter()
            .filter(|t| filter == TodoFilter::All || t.state == TodoState::Open)
            .filter(|t| {
                let theirs = t.body.owner_user.as_deref() == Some(sender)
                    || (t.body.owner_user.is_none() && t.body.owner.is_some() && t.body.owner.as_deref() == called);
                filter != TodoFilter::Mine || theirs
            })
            .collect();
        let more = shown.len().saturating_sub(MOST);
        shown.drain(..more);
        let zone = self.zone();
        let mut lines = Vec::with_capacity(shown.len());
        for item in &shown {
            let turned = item.body.turned.as_ref().map(|t| {
                let who = self.facts.names.get(&t.by).cloned().unwrap_or_else(|| t.by.clone());
                (who, zone.day_and_clock(t.at))
            });
            lines.push(TodoLine { todo: item, link: todo::link(&self.house.notary, item).await, turned });
        }
        let content = text::todos(&lines, filter, zone.day(UnixMillis::now()), room, &self.via());
        Ok(Reply { shows: shown.iter().map(|t| t.number).collect(), ..Reply::new(content) })
    }

    pub(super) async fn turn(&self, number: u32, state: TodoState) -> anyhow::Result<Reply> {
        let (room, sender) = (&self.message.room, &self.message.sender);
        let done = todo::turn(&self.house.notary, room, number, state, sender, None).await?;
        let (now, already) = match state {
            TodoState::Open => ("open again", "open"),
            TodoState::Done => ("done", "done"),
            TodoState::Dropped => ("dropped", "dropped"),
        };
        Ok(Reply::say(&match done {
            None => format!("There is no to-do #{number} in this room. !notes todo all shows those that there are."),
            Some(None) => format!("#{number} is {already} already."),
            Some(Some(_)) => format!("#{number} is {now}."),
        }))
    }
}
