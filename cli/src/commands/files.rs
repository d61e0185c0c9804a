//! Requests and answers in files: TOML or JSON, of which nothing is ignored.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Error, read_text};

/// Read a file as an object, by its extension.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = read_text(path)?;
    let bad = |why: String| Error::Unusable(format!("{}: {why}", path.display()));
    let value = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|why| bad(why.to_string()))?,
        Some("toml") => from_toml(&text).map_err(|why| bad(why.to_string()))?,
        _ => return Err(bad("name it .toml or .json, so that it is clear how to read it".into())),
    };
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(bad("this should be an object, with names and what they hold".into())),
    }
}

/// Read a file as this type; `what` says what it should be.
pub(super) fn read_as<T: DeserializeOwned + Serialize>(path: &Path, what: &str) -> Result<T, Error> {
    typed(Value::Object(read_object(path)?), &format!("{} is no {what}", path.display()))
}

/// The value as this type, if every field of it means something there.
pub(super) fn typed<T: DeserializeOwned + Serialize>(value: Value, otherwise: &str) -> Result<T, Error> {
    let read = T::deserialize(&value).map_err(|why| Error::Unusable(format!("{otherwise}: {why}")))?;
    let kept = serde_json::to_value(&read).expect("the types of the API have string keys");
    match ignored(&value, &kept) {
        None => Ok(read),
        Some(field) => Err(Error::Unusable(format!(
            "{otherwise}: unknown field `{field}`; a field that means nothing is refused, lest it be missed"
        ))),
    }
}

/// The first field that was said and is not among what was kept. Types that travel between States let unknown fields
/// pass; an officer who mistypes one must hear of it.
fn ignored(said: &Value, kept: &Value) -> Option<String> {
    // What is said and is the usual is not written again.
    let nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let beneath =
        |name: String, inner: String| if inner.is_empty() { name } else { format!("{name}.{inner}") };
    match (said, kept) {
        (Value::Object(said), Value::Object(kept)) => {
            said.iter().find_map(|(name, value)| match kept.get(name) {
                Some(kept) => ignored(value, kept).map(|inner| beneath(name.clone(), inner)),
                None => (!nothing(value)).then(|| name.clone()),
            })
        }
        (Value::Array(said), Value::Array(kept)) => {
            let mut pairs = said.iter().zip(kept).enumerate();
            pairs.find_map(|(n, (said, kept))| ignored(said, kept).map(|inner| beneath(n.to_string(), inner)))
        }
        _ => None,
    }
}

/// TOML as JSON.
pub(crate) fn from_toml(text: &str) -> Result<Value, toml::de::Error> {
    Ok(json(toml::Value::Table(toml::from_str(text)?)))
}

/// TOML as JSON; its dates become texts.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(value) => value.to_string().into(),
        toml::Value::Float(value) => value.into(),
        toml::Value::Integer(value) => value.into(),
        toml::Value::String(value) => value.into(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, json(value))).collect())
        }
    }
}

/// Put a value at a path of names, making the objects on the way.
pub(super) fn put(object: &mut Map<String, Value>, path: &str, value: impl Serialize) {
    let value = serde_json::to_value(value).expect("what is typed has string keys");
    let mut names = path.split('.').peekable();
    let mut at = object;
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            at.insert(name.to_owned(), value);
            return;
        }
        let next = at.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if !next.is_object() {
            *next = Value::Object(Map::new());
        }
        at = next.as_object_mut().expect("it is one now");
    }
}

/// Put a value if there is one.
pub(super) fn put_some(object: &mut Map<String, Value>, path: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        put(object, path, value);
    }
}

/// Put a list if there is anything in it.
pub(super) fn put_all(object: &mut Map<String, Value>, path: &str, values: &[impl Serialize]) {
    if !values.is_empty() {
        put(object, path, values);
    }
}

/// Whether there is anything at a path of names.
pub(super) fn has(object: &Map<String, Value>, path: &str) -> bool {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| object.get(name));
    let found = names.try_fold(first, |at, name| Some(at?.get(name)));
    match found.flatten() {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// The part of a mistake's text that names a field, with the option that sets it.
pub(super) fn with_options(missing: &[impl AsRef<str>], options: &[(&str, &str)]) -> String {
    let said = missing.iter().map(|text| {
        let text = text.as_ref();
        let field = text.split([':', ' ']).next().unwrap_or_default();
        let option = options.iter().find(|(name, _)| *name == field);
        option.map_or_else(|| format!("\n  {text}"), |(_, option)| format!("\n  {text} ({option})"))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use liaison_protocol::attachment::Person;
    use serde_json::json;

    #[test]
    fn toml_and_json_say_the_same_and_dates_need_no_quotes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (toml, json) = (folder.path().join("p.toml"), folder.path().join("p.json"));
        std::fs::write(&toml, "role = \"HOLDER\"\nname = \"A. N. Other\"\nbirth_date = 1980-01-31\n")
            .expect("a file");
        std::fs::write(&json, r#"{"role":"HOLDER","name":"A. N. Other","birth_date":"1980-01-31"}"#)
            .expect("a file");
        let read = |path: &Path| read_as::<Person>(path, "person").expect("a person");
        assert_eq!(read(&toml), read(&json));
        assert!(read_object(&folder.path().join("p.txt")).is_err());
    }

    #[test]
    fn a_field_that_means_nothing_is_refused_wherever_it_stands() {
        let said = json!({ "a": [{ "b": 1, "c": 2, "d": [], "e": false }] });
        assert_eq!(ignored(&said, &json!({ "a": [{ "b": 1 }] })), Some("a.0.c".into()));
        assert_eq!(ignored(&said, &json!({ "a": [{ "b": 1, "c": 2 }] })), None);
    }

    #[test]
    fn what_is_typed_goes_before_what_stands_in_the_file() {
        let mut object = json!({ "recovery": { "place": "here" } }).as_object().cloned().expect("an object");
        put(&mut object, "recovery.mode", "FOUND");
        put(&mut object, "recovery.place", "there");
        put_some(&mut object, "other", None::<String>);
        assert_eq!(
            Value::Object(object.clone()),
            json!({ "recovery": { "place": "there", "mode": "FOUND" } })
        );
        assert!(has(&object, "recovery.mode") && !has(&object, "recovery.date") && !has(&object, "x.y"));
    }
}
