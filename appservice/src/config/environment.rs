//! Environment variables over the file: `ROOMTONE_SECTION__KEY=value`, `ROOMTONE_SECTION__KEY_FILE=path`.
use std::path::PathBuf;

use serde_yaml_ng::{Mapping, Value};

use super::ConfigError;

const PREFIX: &str = "ROOMTONE_";

/// Keys that are named `…_file` themselves: for these `_FILE` is part of the name.
const FILE_KEYS: [&[&str]; 5] = [
    &["livekit", "secret_file"],
    &["homeserver", "federation_ca_file"],
    &["operator_key_file"],
    &["transcription", "http", "api_key_file"],
    &["notes", "llm", "api_key_file"],
];

/// Top-level keys. Other `ROOMTONE_…` variables (`ROOMTONE_SYNAPSE_VENV`, …) are not for the configuration.
const TOP: [&str; 12] = [
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
    "metrics",
];

/// Lays the variables over `tree`, one after the other; `fits` says whether the whole can still be read.
pub(super) fn overlay(
    tree: &mut Value,
    environment: impl IntoIterator<Item = (String, String)>,
    fits: impl Fn(&Value) -> Result<(), String>,
) -> Result<(), ConfigError> {
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
    for (name, path, text) in &mut found {
        let bad = |message: String| ConfigError::Environment { variable: name.clone(), message };
        let mut text = std::mem::take(text);
        let is_file_key = FILE_KEYS.iter().any(|key| key.iter().eq(path.iter()));
        if let Some(last) = path.last_mut()
            && !is_file_key
            && let Some(short) = last.strip_suffix("_file")
        {
            *last = short.to_owned();
            let file = PathBuf::from(text);
            text = std::fs::read_to_string(&file)
                .map_err(|source| ConfigError::Unreadable { path: file, source })?
                .trim()
                .to_owned();
        }
        // Numbers, booleans and lists are written as in YAML, but a secret of digits only is a word: what fits counts.
        let as_yaml =
            serde_yaml_ng::from_str(&text).ok().filter(|value: &Value| !value.is_string() && !value.is_null());
        *place(tree, path).map_err(bad)? = Value::String(text);
        if let (Err(as_word), Some(as_yaml)) = (fits(tree), as_yaml) {
            *place(tree, path).map_err(bad)? = as_yaml;
            fits(tree).map_err(|_| bad(as_word))?;
        } else {
            fits(tree).map_err(bad)?;
        }
    }
    Ok(())
}

fn place<'a>(tree: &'a mut Value, path: &[String]) -> Result<&'a mut Value, String> {
    let (last, sections) = path.split_last().ok_or("names no key")?;
    let mut at = tree;
    for section in sections {
        at = entry(at, section).ok_or_else(|| format!("{section} is no section"))?;
    }
    entry(at, last).ok_or_else(|| format!("{last} is no key of a section"))
}

fn entry<'a>(at: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    if at.is_null() {
        *at = Value::Mapping(Mapping::new());
    }
    Some(at.as_mapping_mut()?.entry(Value::String(key.to_owned())).or_insert(Value::Null))
}
