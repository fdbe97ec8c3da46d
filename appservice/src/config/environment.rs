//! Environment variables over the file: `ROOMTONE_SECTION__KEY=value`, `ROOMTONE_SECTION__KEY_FILE=path`.
use std::path::PathBuf;

use serde_yaml_ng::{Mapping, Value};

use super::ConfigError;

const PREFIX: &str = "ROOMTONE_";

/// Keys that are named `…_file` themselves: for these `_FILE` is part of the name.
const FILE_KEYS: [&[&str]; 3] =
    [&["livekit", "secret_file"], &["homeserver", "federation_ca_file"], &["operator_key_file"]];

/// Top-level keys. Other `ROOMTONE_…` variables (`ROOMTONE_SYNAPSE_VENV`, …) are not for the configuration.
const TOP: [&str; 11] = [
    "homeserver",
    "appservice",
    "data_dir",
    "operator_key_file",
    "sip",
    "numbers",
    "livekit",
    "permissions",
    "transcription",
    "notes",
    "limits",
];

/// Lays the variables over `tree`; the names of those that were used come back, in order.
pub(super) fn overlay(
    tree: &mut Value,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<String>, ConfigError> {
    let mut found: Vec<(String, Vec<String>, String)> = environment
        .into_iter()
        .filter_map(|(name, value)| {
            let path: Vec<String> = name.strip_prefix(PREFIX)?.split("__").map(str::to_ascii_lowercase).collect();
            let first = path.first()?.as_str();
            let top = TOP.contains(&first) || TOP.contains(&first.trim_end_matches("_file"));
            top.then_some((name, path, value))
        })
        .collect();
    found.sort();
    for (name, path, value) in &mut found {
        let bad = |message: String| ConfigError::Environment { variable: name.clone(), message };
        let mut value = Value::String(std::mem::take(value));
        let is_file_key = FILE_KEYS.iter().any(|key| key.iter().eq(path.iter()));
        if let Some(last) = path.last_mut()
            && !is_file_key
            && let Some(short) = last.strip_suffix("_file")
        {
            *last = short.to_owned();
            let file = PathBuf::from(value.as_str().unwrap_or_default());
            let text =
                std::fs::read_to_string(&file).map_err(|source| ConfigError::Unreadable { path: file, source })?;
            value = Value::String(text.trim().to_owned());
        } else if let Some(text) = value.as_str() {
            // Numbers, booleans and lists are written as in YAML; what is no YAML is a word.
            value = match serde_yaml_ng::from_str::<Value>(text) {
                Ok(v @ (Value::Bool(_) | Value::Number(_) | Value::Sequence(_) | Value::Mapping(_))) => v,
                _ => value,
            };
        }
        let (last, sections) = path.split_last().ok_or_else(|| bad("names no key".into()))?;
        let mut at = &mut *tree;
        for section in sections {
            at = entry(at, section).ok_or_else(|| bad(format!("{section} is no section")))?;
        }
        *entry(at, last).ok_or_else(|| bad(format!("{last} is no key of a section")))? = value;
    }
    Ok(found.into_iter().map(|(name, ..)| name).collect())
}

fn entry<'a>(at: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    if at.is_null() {
        *at = Value::Mapping(Mapping::new());
    }
    Some(at.as_mapping_mut()?.entry(Value::String(key.to_owned())).or_insert(Value::Null))
}
