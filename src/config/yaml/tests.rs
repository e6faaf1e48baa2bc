//! The reader of YAML, shape by shape and mistake by mistake.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::diagnostic::Diagnostics;
use crate::config::span::Span;
use crate::config::yaml::{Kind, Node, PathSegment, parse::parse, read::read};

fn file() -> Arc<str> {
    Arc::from("a.yaml")
}

#[track_caller]
fn tree(text: &str) -> Node {
    let mut diagnostics = Diagnostics::new();
    let node = parse(text, &file(), &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_plain());
    node.unwrap()
}

#[track_caller]
fn good<T: DeserializeOwned>(text: &str) -> T {
    let mut diagnostics = Diagnostics::new();
    let value = read(&tree(text), &file(), &mut diagnostics);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render_plain());
    value.unwrap()
}

fn bad<T: DeserializeOwned>(text: &str) -> (Option<T>, String) {
    let mut diagnostics = Diagnostics::new();
    let value = parse(text, &file(), &mut diagnostics)
        .and_then(|node| read(&node, &file(), &mut diagnostics));
    (value, diagnostics.render_plain())
}

fn refused(text: &str) -> String {
    let mut diagnostics = Diagnostics::new();
    assert!(parse(text, &file(), &mut diagnostics).is_none());
    diagnostics.render_plain()
}

#[derive(Debug, PartialEq, Deserialize)]
struct Wrapped(String);

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Plain {
    First,
    Number(u32),
    Pair { a: u32, b: Option<String> },
    Two(u32, u32),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Tagged {
    None,
    Basic { username: String, tries: u32 },
    Nested { inner: Inner },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    count: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    listen: String,
    port: u16,
    ratio: f64,
    enabled: bool,
    wait: Option<Duration>,
    tags: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Duration(std::time::Duration);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Span::deserialize(deserializer)?.0))
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Needy {
    name: String,
    count: u32,
    wait: Span,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    server: Section,
    #[serde(default)]
    needy: Option<Needy>,
    #[serde(default)]
    credential: Option<Tagged>,
    #[serde(default)]
    entities: BTreeMap<String, Needy>,
    #[serde(default)]
    plain: Option<Plain>,
    #[serde(default)]
    list: Vec<u32>,
}

#[test]
fn a_text_field_keeps_a_number_as_it_was_written() {
    assert_eq!(good::<String>("1.10"), "1.10");
    assert_eq!(good::<Wrapped>("0x1F"), Wrapped("0x1F".into()));
    assert_eq!(good::<f64>("1.10"), 1.1);
    assert_eq!(good::<u32>("0x1F"), 31);
    assert_eq!(good::<i8>("-3"), -3);
    assert_eq!(good::<char>("x"), 'x');
    assert_eq!(good::<Option<u32>>("~"), None);
    assert_eq!(good::<Option<u32>>("7"), Some(7));
    assert_eq!(good::<Vec<u32>>("[1, 2]"), [1, 2]);
    assert_eq!(good::<Vec<u32>>(""), Vec::<u32>::new());
    assert_eq!(good::<(u32, String)>("[1, 2]"), (1, "2".into()));
    good::<()>("null");
}

#[test]
fn words_of_an_older_yaml_are_texts_and_not_booleans() {
    for word in ["yes", "no", "on", "off", "y", "N"] {
        assert_eq!(
            good::<serde_json::Value>(word),
            serde_json::Value::from(word)
        );
        assert!(bad::<bool>(word).1.contains("needs `true` or `false`"));
    }
    assert!(good::<bool>("true"));
    let any: serde_json::Value =
        good("{a: 1, b: -1, c: 1.5, d: '1', e: false, f: , g: .inf.x, h: 2024-01-01}");
    insta::assert_snapshot!(any, @r#"{"a":1,"b":-1,"c":1.5,"d":"1","e":false,"f":null,"g":".inf.x","h":"2024-01-01"}"#);
}

#[test]
fn every_shape_of_enum_is_read() {
    assert_eq!(good::<Plain>("first"), Plain::First);
    assert_eq!(good::<Plain>("number: 3"), Plain::Number(3));
    assert_eq!(
        good::<Plain>("pair: { a: 1 }"),
        Plain::Pair { a: 1, b: None }
    );
    assert_eq!(good::<Plain>("two: [1, 2]"), Plain::Two(1, 2));
    assert_eq!(good::<Tagged>("kind: none"), Tagged::None);
    assert_eq!(
        good::<Tagged>("{kind: nested, inner: {count: 2}}"),
        Tagged::Nested {
            inner: Inner { count: 2 }
        }
    );
    assert_eq!(good::<Either>("a"), Either::One("a".into()));
    assert_eq!(good::<Either>("[a]"), Either::Many(vec!["a".into()]));
    assert_eq!(
        good::<BTreeMap<u32, String>>("{1: a}"),
        BTreeMap::from([(1, "a".into())])
    );
}

#[test]
fn a_number_for_a_text_inside_a_tagged_enum_is_kept_as_written() {
    let value: Tagged = good("{kind: basic, username: 1.10, tries: 3}");
    assert_eq!(
        value,
        Tagged::Basic {
            username: "1.10".into(),
            tries: 3
        }
    );
}

#[test]
fn a_mistake_inside_a_tagged_enum_is_found_where_it_is() {
    let text = "credential:\n  kind: basic\n  username: a\n  tries: many\n";
    insta::assert_snapshot!(bad::<Document>(text).1, @"a.yaml:4:10: error[wrong-type]: `credential.tries` needs a whole number that is not negative, and this is the text `many`.");
    let text = "credential:\n  kind: nested\n  inner:\n    count: 1\n    cuont: 2\n";
    insta::assert_snapshot!(bad::<Document>(text).1, @r"
    a.yaml:5:5: error[unknown-key]: `credential.inner` has no key `cuont`.
      hint: Did you mean `count`?
    ");
    let text = "credential:\n  kind: nested\n  inner:\n    cuont: 2\n";
    insta::assert_snapshot!(bad::<Document>(text).1, @r"
    a.yaml:3:3: error[missing-key]: `credential.inner` lacks the key `count`.
    a.yaml:4:5: error[unknown-key]: `credential.inner` has no key `cuont`.
      hint: Did you mean `count`?
    ");
    let text = "credential:\n  kind: nested\n  inner: { count: x }\n";
    insta::assert_snapshot!(bad::<Document>(text).1, @"a.yaml:3:19: error[wrong-type]: `credential.inner.count` needs a whole number that is not negative, and this is the text `x`.");
    let text = "credential: { kind: basic, username: [1], tries: x }\n";
    insta::assert_snapshot!(bad::<Document>(text).1, @r"
    a.yaml:1:39: error[wrong-type]: `credential.username` needs a text, and this is a list.
    a.yaml:1:50: error[wrong-type]: `credential.tries` needs a whole number that is not negative, and this is the text `x`.
    ");
    let text = "credential:\n  kind: basik\n  username: a\n  tries: 1\n";
    insta::assert_snapshot!(bad::<Document>(text).1, @r"
    a.yaml:2:9: error[unknown-value]: `credential.kind` does not know the value `basik`.
      hint: Did you mean `basic`?
    ");
    insta::assert_snapshot!(bad::<Document>("credential: { username: a }").1, @"a.yaml:1:1: error[missing-key]: `credential` lacks the key `kind`.");
}

#[test]
fn a_document_with_twelve_mistakes_gives_twelve_diagnostics() {
    let text = "\
servr: {}
server:
  lisen: a
  port: 70000
  enabled: yes
  wait: 5 minutes
  tags: { a: 1 }
needy:
  count: x
  wait: 4s
entities:
  Ticket: { name: [1], count: -1, wait: 1s }
plain: frist
list: [1, a, 3]
";
    let (value, problems) = bad::<Document>(text);
    assert_eq!(
        problems
            .lines()
            .filter(|line| line.starts_with("a.yaml"))
            .count(),
        12
    );
    insta::assert_snapshot!(problems, @r"
    a.yaml:1:1: error[unknown-key]: The file has no key `servr`.
      hint: Did you mean `server`?
    a.yaml:3:3: error[unknown-key]: `server` has no key `lisen`.
      hint: Did you mean `listen`?
    a.yaml:4:9: error[wrong-type]: `server.port` needs a whole number that is not negative, and this is the number `70000`.
    a.yaml:5:12: error[wrong-type]: `server.enabled` needs `true` or `false`, and this is the text `yes`.
    a.yaml:6:9: error[invalid-value]: `server.wait` is not valid: `5 minutes` is not a length of time, write a whole number and ms, s, m, h or d, as in `250ms`.
    a.yaml:7:11: error[wrong-type]: `server.tags` needs a list, and this is a mapping.
    a.yaml:8:1: error[missing-key]: `needy` lacks the key `name`.
    a.yaml:9:10: error[wrong-type]: `needy.count` needs a whole number that is not negative, and this is the text `x`.
    a.yaml:12:20: error[wrong-type]: `entities.Ticket.name` needs a text, and this is a list.
    a.yaml:12:31: error[wrong-type]: `entities.Ticket.count` needs a whole number that is not negative, and this is the number `-1`.
    a.yaml:13:8: error[unknown-value]: `plain` does not know the value `frist`.
      hint: Did you mean `first`?
    a.yaml:14:11: error[wrong-type]: `list[1]` needs a whole number that is not negative, and this is the text `a`.
    ");
    let value = value.unwrap();
    assert_eq!(value.server, Section::default());
    assert_eq!(value.needy, None);
    assert!(value.entities.is_empty());
    assert_eq!(value.list, [1, 3]);
}

#[test]
fn all_missing_keys_are_told_at_once_and_nothing_twice() {
    let (value, problems) = bad::<Needy>("nam: a");
    insta::assert_snapshot!(problems, @r"
    a.yaml:1:1: error[missing-key]: The file lacks the key `name`.
    a.yaml:1:1: error[missing-key]: The file lacks the key `count`.
    a.yaml:1:1: error[missing-key]: The file lacks the key `wait`.
    a.yaml:1:1: error[unknown-key]: The file has no key `nam`.
      hint: Did you mean `name`?
    ");
    assert_eq!(value, None);
}

#[test]
fn a_duplicate_key_is_told_with_the_line_of_the_first() {
    insta::assert_snapshot!(bad::<Section>("port: 1\nlisten: a\nport: 2\n").1, @"a.yaml:3:1: error[duplicate-key]: The key `port` is here twice; it first stands on line 1.");
}

#[test]
fn text_that_is_not_yaml_is_told_with_its_place() {
    insta::assert_snapshot!(refused("a: [1\nb: 2"), @"a.yaml:2:2: error[yaml-syntax]: This is not YAML: illegal placement of ':' indicator.");
    insta::assert_snapshot!(refused("a: 1\n---\nb: 2"), @"a.yaml:2:1: error[yaml-documents]: A second document starts here, and one is allowed.");
    insta::assert_snapshot!(refused("a: !secret b"), @"a.yaml:1:4: error[yaml-tag]: The tag `!secret` has no meaning here.");
    insta::assert_snapshot!(refused("a: *b"), @"a.yaml:1:4: error[yaml-syntax]: This is not YAML: while parsing node, found unknown anchor.");
    insta::assert_snapshot!(refused("a: &a [*a]"), @"a.yaml:1:8: error[yaml-alias]: This alias stands inside the value it names.");
}

#[test]
fn aliases_are_expanded_within_bounds() {
    assert_eq!(
        good::<BTreeMap<String, Vec<u32>>>("{a: &x [1], b: *x}").len(),
        2
    );
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = level - 1;
        let item = format!("*a{before}");
        laughs.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![item; 10].join(", ")
        ));
    }
    assert!(refused(&laughs).contains("error[too-large]"));
    let long = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(100_000),
        vec!["*a"; 100].join(", ")
    );
    assert!(refused(&long).contains("error[too-large]"));
    assert!(refused(&"[".repeat(65)).contains("error[too-deep]"));
    good::<serde_json::Value>(&format!("{}{}", "[".repeat(64), "]".repeat(64)));
    assert!(refused(&" ".repeat(1024 * 1024 + 1)).contains("error[too-large]"));
}

#[test]
fn a_path_leads_to_the_key_and_to_the_value() {
    let node = tree(
        "Ticket:\n  fields:\n    status: { from: s, as: { new: NEW } }\n    tags: [a, ü, c]\n",
    );
    let path: Vec<PathSegment> = ["Ticket", "fields", "status", "as", "new"]
        .map(PathSegment::from)
        .into();
    let value = node.at(&path).unwrap().place;
    assert_eq!((value.line, value.column, value.len), (3, 35, 3));
    let key = node.key_at(&path).unwrap().place;
    assert_eq!((key.line, key.column, key.len), (3, 30, 3));
    let path = [
        PathSegment::from("Ticket"),
        "fields".into(),
        "tags".into(),
        2.into(),
    ];
    let item = node.at(&path).unwrap().place;
    assert_eq!(
        (item.line, item.column, item.offset, item.len),
        (4, 18, 78, 1)
    );
    let path = [PathSegment::from("Ticket"), "absent".into(), "more".into()];
    assert_eq!(node.place_at(&path).line, 1);
    assert!(node.at(&path).is_none());
}

/// Checks that the character after `@` in a scalar's text is found where it stands in the file.
#[track_caller]
fn position(text: &str) {
    let node = tree(text);
    let value = node.get("a").unwrap();
    let Kind::Scalar(scalar) = &value.kind else {
        panic!("a scalar")
    };
    let offset = scalar.text.find('@').unwrap();
    let (line, column) = value.position_in(offset);
    let before = text.get(..text.find('@').unwrap()).unwrap();
    let expected_line = before.lines().count().max(1);
    let expected_column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    assert_eq!(
        (line as usize, column as usize),
        (expected_line, expected_column),
        "{scalar:?}"
    );
    let place = value.place_in(offset);
    assert_eq!(place.offset, before.len());
}

#[test]
fn a_place_inside_a_text_is_found_in_the_file() {
    position("a: x@y\n");
    position("a: 'it''s @'\n");
    position("a: \"\\u00fc \\n \\\"@\"\n");
    position("a: |\n  one\n\n    two ü @\n");
    position("b: 1\na: |2-\n    one\n  two @\n");
    position("a: >\n  one\n  two\n\n  three @\n");
    position("a: one\n  two @\n");
    position("a: \"one \\\n  two @\"\n");
    position("a: |\r\n  one\r\n  two @\r\n");
}
