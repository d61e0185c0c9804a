//! JSON as we accept it (I-JSON, RFC 7493, and stricter) and as we write it (JCS, RFC 8785).
//!
//! A stranger's bytes are checked here once, before any type is made of them: no duplicate member, no
//! fraction, no integer of 2^53 or more, at most [`MAX_DEPTH`] levels.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::ops::Range;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::ser::{CompactFormatter, Formatter};

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 16;

/// Largest integer magnitude that every JSON reader keeps exactly: 2^53 - 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why some JSON is not accepted. The text may quote it: it is for whoever wrote that.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonFlaw(serde_json::Error);

impl JsonFlaw {
    /// What sort of flaw, and where; nothing of what is written there. For our own trace.
    pub fn place(&self) -> String {
        let Self(error) = self;
        let sort = match error.classify() {
            Category::Data => "not of the form it must be",
            Category::Eof => "broken off",
            Category::Io | Category::Syntax => "no JSON",
        };
        match error.line() {
            0 => sort.to_owned(),
            line => format!("{sort}, at line {line}, column {}", error.column()),
        }
    }
}

/// Read a value of type `T` from strict JSON.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonFlaw> {
    check(bytes)?;
    serde_json::from_slice(bytes).map_err(JsonFlaw)
}

/// Read a value of type `T` from strict JSON that says no more, and says it no other way, than `T` would write.
pub fn parse_exact<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, JsonFlaw> {
    exact(&parse(bytes)?)
}

/// As [`parse_exact`], from JSON that was read already.
///
/// An array in place of an object, a `null` or an empty list in place of nothing: readers differ about these.
pub fn exact<T: DeserializeOwned + Serialize>(raw: &serde_json::Value) -> Result<T, JsonFlaw> {
    let value = T::deserialize(raw).map_err(JsonFlaw)?;
    if serde_json::to_value(&value).map_err(JsonFlaw)? == *raw {
        Ok(value)
    } else {
        Err(JsonFlaw(serde::de::Error::custom("a value in a form we do not write")))
    }
}

/// Write `value` in canonical form (RFC 8785). For values of ours only.
pub fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    canonical_if_plain(value).unwrap_or_else(|| {
        let value = serde_json::to_value(value).expect("what was written can be written again");
        serde_json_canonicalizer::to_vec(&value).expect("a value can be written")
    })
}

/// The same, if names are plain and numbers are integers below 2^53. Bytes that are alike are strict JSON, then.
pub(crate) fn canonical_if_plain<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let out = RefCell::new(Vec::with_capacity(1024));
    let mut is_plain = true;
    let in_order = InOrder { out: &out, is_plain: &mut is_plain, open: Vec::new() };
    let mut serializer = serde_json::Serializer::with_formatter(Shared(&out), in_order);
    value.serialize(&mut serializer).expect("our own types have string keys and finite numbers");
    drop(serializer);
    is_plain.then(|| out.into_inner())
}

/// Write `value`, which has string keys, as its type says: about `length` bytes.
pub(crate) fn plain<T: Serialize>(value: &T, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    serde_json::to_writer(&mut bytes, value).expect("our own types have string keys");
    bytes
}

/// What is written, where the formatter sees it too.
struct Shared<'a>(&'a RefCell<Vec<u8>>);

impl io::Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes objects with their members in the order of their names' bytes: that of RFC 8785 while all names are plain.
struct InOrder<'a> {
    out: &'a RefCell<Vec<u8>>,
    /// Whether names are ASCII without escapes and each there once, and numbers integers below 2^53: all else is written
    /// by others.
    is_plain: &'a mut bool,
    /// The members so far of each object that is not closed yet.
    open: Vec<Vec<Member>>,
}

/// Most objects have no more members than this.
const MEMBERS: usize = 16;

/// Where a member stands in what is written.
struct Member {
    name: Range<usize>,
    end: usize,
}

impl InOrder<'_> {
    fn here(&self) -> usize {
        self.out.borrow().len()
    }
}

impl Formatter for InOrder<'_> {
    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.push(Vec::with_capacity(MEMBERS));
        writer.write_all(b"{")
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        let here = self.here();
        let members = self.open.last_mut().expect("a name stands in an object");
        members.push(Member { name: here..here, end: here });
        Ok(())
    }

    fn end_object_key<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        let here = self.here();
        let member = self.open.last_mut().and_then(|members| members.last_mut());
        member.expect("its name has begun").name.end = here;
        Ok(())
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        let here = self.here();
        let member = self.open.last_mut().and_then(|members| members.last_mut());
        member.expect("its name has been written").end = here;
        Ok(())
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        let mut members = self.open.pop().expect("it has begun");
        let mut out = self.out.borrow_mut();
        let name = |member: &Member| &out[member.name.start + 1..member.name.end - 1];
        let is_plain = |name: &[u8]| name.iter().all(|byte| byte.is_ascii() && *byte != b'\\');
        *self.is_plain &= members.iter().all(|member| is_plain(name(member)));
        let in_order = |members: &[Member]| members.is_sorted_by(|one, next| name(one) < name(next));
        if !in_order(&members) {
            let first = members[0].name.start;
            members.sort_by(|one, other| name(one).cmp(name(other)));
            // Still not: then a name is there twice, and the last one counts.
            *self.is_plain &= in_order(&members);
            let mut sorted = Vec::with_capacity(out.len() - first);
            for member in &members {
                if !sorted.is_empty() {
                    sorted.push(b',');
                }
                sorted.extend_from_slice(&out[member.name.start..member.end]);
            }
            out.truncate(first);
            out.append(&mut sorted);
        }
        drop(out);
        writer.write_all(b"}")
    }

    fn write_raw_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        *self.is_plain = false;
        CompactFormatter.write_raw_fragment(writer, text)
    }

    fn write_u64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        *self.is_plain &= value <= MAX_INTEGER;
        CompactFormatter.write_u64(writer, value)
    }

    fn write_i64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        *self.is_plain &= value.unsigned_abs() <= MAX_INTEGER;
        CompactFormatter.write_i64(writer, value)
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        *self.is_plain = false;
        CompactFormatter.write_f64(writer, value)
    }
}

/// Check that `bytes` are strict JSON.
pub(crate) fn check(bytes: &[u8]) -> Result<(), JsonFlaw> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict { levels_left: MAX_DEPTH }.deserialize(&mut reader).map_err(JsonFlaw)?;
    reader.end().map_err(JsonFlaw)
}

#[derive(Clone, Copy)]
struct Strict {
    levels_left: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels_left = self.levels_left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { levels_left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON: no fractions, no duplicate members, integers below 2^53")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<(), E> {
        if n > MAX_INTEGER { Err(E::custom("an integer of 2^53 or more")) } else { Ok(()) }
    }

    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<(), E> {
        self.visit_u64(n.unsigned_abs())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = Names::default();
        while let Some(Name(name)) = map.next_key()? {
            map.next_value_seed(inner)?;
            if !names.insert(name) {
                return Err(serde::de::Error::custom("a duplicate member"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The names of an object so far: few are compared one by one, many by their hashes.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

/// Names compared one by one.
const FEW: usize = 24;

impl<'a> Names<'a> {
    /// Whether it is a new one.
    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        let is_new = !self.few.contains(&name) && !self.many.contains(&name);
        if self.few.len() < FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn plain_json_is_read() {
        let value: Value = parse(br#"{"a":[1,-2,"x",null,true]}"#).expect("strict enough");
        assert_eq!(value["a"][1], -2);
        assert!(parse::<Value>(b"9007199254740991").is_ok());
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let deep = format!("{}1{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        let names: Vec<String> = (0..2 * FEW).chain([FEW + 1]).map(|n| format!("\"{n}\":0")).collect();
        let many = format!("{{{}}}", names.join(","));
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":1,"\u0061":2}"#,
            &many,
            "1.5",
            "1.0",
            "1e3",
            "9007199254740992",
            "-9007199254740992",
            "\u{feff}1",
            "1 2",
            r#""\ud800""#,
            "{a:1}",
            "",
            &deep,
        ] {
            assert!(parse::<Value>(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse::<Value>(b"\"\xff\"").is_err());
    }

    #[test]
    fn a_flaw_says_what_is_expected_and_its_place_quotes_nothing() {
        let flaw = |bytes: &str| parse::<Vec<u32>>(bytes.as_bytes()).expect_err("bad");
        assert!(flaw("[1.5]").to_string().contains("expected strict JSON: no fractions"));
        for (bytes, place) in [
            ("[1,\n2", "broken off, at line 2, column 1"),
            ("[1,2}", "no JSON, at line 1, column 5"),
            ("[1,\n\"x\"]", "not of the form it must be, at line 2, column 3"),
        ] {
            assert_eq!(flaw(bytes).place(), place);
        }
        // A value that was read already has no lines.
        let flaw = exact::<u32>(&Value::Null).expect_err("no number");
        assert_eq!(flaw.place(), "not of the form it must be");
    }

    #[test]
    fn an_exact_value_has_one_spelling() {
        #[derive(Debug, Deserialize, Serialize)]
        struct Two {
            a: u32,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            b: Option<u32>,
        }
        for good in [r#"{"a":1}"#, r#"{ "b":2, "a":1 }"#] {
            assert!(parse_exact::<Two>(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["[1,2]", r#"{"a":1,"b":null}"#, r#"{"a":1,"c":2}"#, r#"{"b":2}"#] {
            assert!(parse_exact::<Two>(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        /// The canonicalizer is the oracle.
        #[test]
        fn the_quick_form_is_the_canonical_one(
            names in prop::collection::btree_map(
                "[ -~\u{1}\u{e9}\u{e000}\u{1f600}]{0,3}",
                prop_oneof![any::<i64>(), -9_i64..99],
                0..6,
            ),
            texts in prop::collection::vec(".{0,8}", 0..4),
        ) {
            let value = serde_json::json!({"z": {"names": names, "a": null}, "texts": texts, "y": [true]});
            prop_assert_eq!(canonical(&value), serde_json_canonicalizer::to_vec(&value).expect("it is written"));
        }
    }

    /// An object whose members come in the order of a type.
    struct AsItComes<T>(Vec<(String, T)>);

    impl<T: Serialize> Serialize for AsItComes<T> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
        }
    }

    proptest! {
        #[test]
        fn members_stand_in_their_order_whatever_order_a_type_has(
            names in prop::collection::hash_set("[ -~\u{e9}\u{e000}\u{1f600}]{0,3}", 0..6),
            inner in prop::collection::hash_set("[a-c!]{0,3}", 0..5),
        ) {
            let inside = |name: &String| {
                let members = inner.iter().map(|inner| (inner.clone(), vec![name.clone()])).collect();
                (name.clone(), AsItComes(members))
            };
            let value = AsItComes(names.iter().map(inside).collect());
            prop_assert_eq!(canonical(&value), serde_json_canonicalizer::to_vec(&value).expect("it is written"));
        }
    }

    #[test]
    fn of_two_members_of_one_name_the_last_is_written() {
        let value = AsItComes([("b", 1), ("a", 2), ("b", 3)].map(|(name, n)| (name.to_owned(), n)).into());
        assert_eq!(canonical(&value), br#"{"a":2,"b":3}"#);
    }

    #[test]
    fn what_stands_as_it_was_written_is_put_in_order_too() {
        let raw = serde_json::value::RawValue::from_string(r#"{"b": 1, "a": 2}"#.to_owned()).expect("JSON");
        assert_eq!(canonical(&[raw]), br#"[{"a":2,"b":1}]"#);
    }

    #[test]
    fn our_own_form_is_canonical() {
        let value: Value = parse(br#"{ "b": 1, "a": "\u00e9" }"#).expect("strict enough");
        assert_eq!(canonical(&value), r#"{"a":"é","b":1}"#.as_bytes());
    }
}
