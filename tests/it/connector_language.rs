//! The language of connector files: expressions, filters and the templates of requests.

use proptest::prelude::*;
use tributary::connector::language::body::ValueTemplate;
use tributary::connector::language::error::EvaluateError;
use tributary::connector::language::expression::{Expression, Scope};
use tributary::connector::language::request::RequestTemplate;
use tributary::connector::language::template::{Context, HeaderTemplate, TextTemplate};
use tributary::connector::language::xml::XmlTemplate;
use tributary::connector::language::{Language, Limits};
use tributary::protocol::tree::Tree;

/// A tree from JSON; numbers keep their text because serde_json prints small ones as written.
fn tree(json: &str) -> Tree {
    fn from(value: &serde_json::Value) -> Tree {
        match value {
            serde_json::Value::Null => Tree::Null,
            serde_json::Value::Bool(truth) => Tree::Bool(*truth),
            serde_json::Value::Number(number) => Tree::Number(number.to_string().into()),
            serde_json::Value::String(text) => Tree::Text(text.as_str().into()),
            serde_json::Value::Array(items) => Tree::List(items.iter().map(from).collect()),
            serde_json::Value::Object(members) => Tree::Map(
                members
                    .iter()
                    .map(|(key, value)| (key.as_str().into(), from(value)))
                    .collect(),
            ),
        }
    }
    from(&serde_json::from_str(json).unwrap())
}

fn text(text: &str) -> Tree {
    Tree::Text(text.into())
}

fn number(text: &str) -> Tree {
    Tree::Number(text.into())
}

fn language() -> Language {
    Language::new(
        Limits::default(),
        vec![("statuses".into(), tree(r#"{"new": "NEW", "1": "ONE"}"#))],
    )
}

fn context(json: &str) -> Context {
    match tree(json) {
        Tree::Map(members) => Context::new(members),
        other => panic!("a context is a map, not {other:?}"),
    }
}

#[track_caller]
fn check(source: &str, item: &str, expected: Tree) {
    let item = tree(item);
    let expression = Expression::compile(source, &language()).unwrap();
    let outcome = expression.evaluate(&Scope::of(&item)).unwrap();
    assert_eq!(*outcome.value, expected, "{source}");
}

#[track_caller]
fn check_native(source: &str, item: &str, expected: Tree) {
    assert!(
        Expression::compile(source, &language())
            .unwrap()
            .is_native(),
        "{source} is not native"
    );
    check(source, item, expected.clone());
    // The same filters must say the same inside minijinja.
    if !source.contains("[]") && !source.contains('@') {
        check(&format!("({source}) if true else 0"), item, expected);
    }
}

#[track_caller]
fn check_refused(source: &str, item: &str, expected: &str) {
    let item = tree(item);
    let expression = Expression::compile(source, &language()).unwrap();
    let error = expression.evaluate(&Scope::of(&item)).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(expected), "{source}: {message}");
}

#[track_caller]
fn check_load_error(source: &str, message: &str, offset: usize, hint: Option<&str>) {
    let error = Expression::compile(source, &language()).unwrap_err();
    assert!(error.message.contains(message), "{}", error.message);
    assert_eq!(error.offset, offset, "{}", error.message);
    match (hint, error.hint) {
        (Some(hint), Some(found)) => assert!(found.contains(hint), "{found}"),
        (None, _) => {}
        (Some(hint), None) => panic!("no hint, expected {hint}"),
    }
}

#[test]
fn a_path_reads_members_places_and_lists_natively() {
    check_native("a.b[0]['c-d']", r#"{"a":{"b":[{"c-d":7}]}}"#, number("7"));
    check_native("a[-1]", r#"{"a":[1,2,3]}"#, number("3"));
    check_native("a[-4]", r#"{"a":[1,2,3]}"#, Tree::Null);
    check_native("order.@id", r#"{"order":{"@id":"x"}}"#, text("x"));
    check_native("@id", r#"{"@id":"x"}"#, text("x"));
    check_native("a['#text']", r##"{"a":{"#text":"x"}}"##, text("x"));
    check_native(
        "a[].b",
        r#"{"a":[{"b":1},{"c":2},{"b":null},{"b":3}]}"#,
        tree("[1,3]"),
    );
    check_native("a[].b", r#"{"a":{"b":1}}"#, tree("[1]"));
    check_native(
        "a[].b[].c",
        r#"{"a":[{"b":[{"c":1},{"c":2}]},{"b":[{"c":3}]}]}"#,
        tree("[1,2,3]"),
    );
    check_native("a[].b", r#"{}"#, Tree::Null);
    check_native("a.b.c", r#"{"a":[]}"#, Tree::Null);
}

#[test]
fn a_plain_path_borrows_from_the_reply() {
    let item = tree(r#"{"a":{"b":"x"}}"#);
    let expression = Expression::compile("a.b", &language()).unwrap();
    let outcome = expression.evaluate(&Scope::of(&item)).unwrap();
    assert!(matches!(outcome.value, std::borrow::Cow::Borrowed(_)));
    assert!(outcome.exact);
}

#[test]
fn root_parent_and_extra_names_are_reached_from_both_kinds_of_expression() {
    let item = tree(r#"{"id":1,"status":"new"}"#);
    let root = tree(r#"{"meta":{"total":9}}"#);
    let parent = tree(r#"{"id":5}"#);
    let status = number("404");
    let scope = Scope {
        item: &item,
        root: Some(&root),
        parent: Some(&parent),
        extra: &[("status", &status)],
    };
    for (source, expected) in [
        ("root.meta.total", "9"),
        ("parent.id", "5"),
        ("status", "404"),
        ("root.meta.total + 0", "9"),
        ("parent.id + id", "6"),
        ("status + 0", "404"),
    ] {
        let expression = Expression::compile(source, &language()).unwrap();
        let outcome = expression.evaluate(&scope).unwrap();
        assert_eq!(*outcome.value, number(expected), "{source}");
    }
}

#[test]
fn a_member_the_reply_lacks_is_null_everywhere() {
    check("requester.email | lower", "{}", Tree::Null);
    check(
        "requester.email | upper | replace('a','b')",
        "{}",
        Tree::Null,
    );
    check("(requester.email or none) | title", "{}", Tree::Null);
    check("a.b.c.d if a.b else none", "{}", Tree::Null);
    check("a.b.c", r#"{"a":null}"#, Tree::Null);
    check("unknown", "{}", Tree::Null);
    check("(unknown | length) > 0", "{}", Tree::Bool(false));
    check("x is none", "{}", Tree::Bool(true));
    check("x is none", r#"{"x":null}"#, Tree::Bool(true));
}

#[test]
fn operators_conditions_and_tests_run_in_minijinja() {
    check("a > 1 and b == 'x'", r#"{"a":2,"b":"x"}"#, Tree::Bool(true));
    check("'yes' if a else 'no'", r#"{"a":false}"#, text("no"));
    check(
        "first ~ ' ' ~ last",
        r#"{"first":"A","last":"B"}"#,
        text("A B"),
    );
    check("a is startingwith('x')", r#"{"a":"xy"}"#, Tree::Bool(true));
    check("a is not none", r#"{"a":"xy"}"#, Tree::Bool(true));
    check("{'k': a}", r#"{"a":"xy"}"#, tree(r#"{"k":"xy"}"#));
    check(
        "items | map(attribute='n') | sum",
        r#"{"items":[{"n":1},{"n":2}]}"#,
        number("3"),
    );
    check("a in ['x', 'y']", r#"{"a":"x"}"#, Tree::Bool(true));
}

#[test]
fn integers_stay_exact_and_floats_are_marked() {
    let item = tree(r#"{"id":9007199254740993,"price":10.10}"#);
    let large = Tree::Map(vec![(
        "id".into(),
        number("170141183460469231731687303715884105727"),
    )]);
    let run = |source: &str, item: &Tree| {
        let expression = Expression::compile(source, &language()).unwrap();
        let outcome = expression.evaluate(&Scope::of(item)).unwrap();
        (outcome.value.into_owned(), outcome.exact)
    };
    assert_eq!(run("id + 0", &item), (number("9007199254740993"), true));
    assert_eq!(
        run("id if true else 0", &large),
        (number("170141183460469231731687303715884105727"), true)
    );
    assert!(!run("price * 3", &item).1);
    assert!(!run("[price * 3]", &item).1);
    assert!(run("price", &item).1);
    check_refused("(price * 3) | decimal", r#"{"price":0.1}"#, "not a float");
}

#[test]
fn unknown_filters_tests_functions_and_tables_are_load_errors_with_the_nearest_name() {
    check_load_error("a | lowr", "no filter `lowr`", 4, Some("`lower`"));
    check_load_error(
        "a == 1 and (b | minor_unit('EUR'))",
        "no filter",
        16,
        Some("`minor_units`"),
    );
    check_load_error("a is definde", "no test", 5, Some("`defined`"));
    check_load_error("range(10)", "no function", 0, None);
    check_load_error("lower(a)", "no function", 0, Some("value | lower"));
    check_load_error("a.upper()", "no method", 2, Some("value | upper"));
    check_load_error("a | lookup(statusses)", "no table", 11, Some("`statuses`"));
    check_load_error(
        "a | minor_units",
        "takes 1 to 1",
        4,
        Some("minor_units(currency)"),
    );
    check_load_error(
        "a | entry('x', kee='y')",
        "no argument `kee`",
        4,
        Some("`key`"),
    );
    check_load_error("a +", "not valid Jinja", 2, None);
    check_load_error("a ? b", "not valid Jinja", 2, None);
    check_load_error("'abc", "does not end", 0, None);
    check_load_error("a %} {{ b", "not valid Jinja", 3, None);
    check_load_error("a | datetime('Mars')", "not an IANA time zone", 4, None);
    check_load_error("a | minor_units('EURO')", "not an ISO 4217", 4, None);
    let deep = format!("a | default({})", "[".repeat(16_000));
    assert!(Expression::compile(&deep, &language()).is_err());
    check_load_error("x | safe", "no filter", 4, None);
}

#[test]
fn an_expression_tells_what_it_reads() {
    let reads = |source: &str| {
        Expression::compile(source, &language())
            .unwrap()
            .reads()
            .iter()
            .map(|way| way.join("."))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        reads("items[].price.amount | minor_units(currency)"),
        ["items.price.amount", "currency"]
    );
    assert_eq!(reads("a.b if c else d['x'].y"), ["a.b", "c", "d"]);
    assert_eq!(reads("a | lookup(statuses)"), ["a"]);
}

#[test]
fn an_endless_evaluation_runs_out_of_fuel() {
    let language = language();
    let context = context(r#"{"keys":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}"#);
    let nested = "{% for a in keys %}{% for b in keys %}{% for c in keys %}{% for d in keys %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}";
    let template = TextTemplate::compile(nested, &language).unwrap();
    assert_eq!(
        template.render(&context).unwrap_err(),
        EvaluateError::OutOfFuel { fuel: 20_000 }
    );
    let item = tree(r#"{"a":1000000000}"#);
    let expression = Expression::compile("'x' * a", &language).unwrap();
    assert_eq!(
        expression.evaluate(&Scope::of(&item)).unwrap_err(),
        EvaluateError::OutOfFuel { fuel: 20_000 }
    );
}

#[test]
fn amounts_follow_the_currency() {
    check_native("a | minor_units('EUR')", r#"{"a":1234}"#, text("12.34"));
    check_native(
        "a | minor_units(c)",
        r#"{"a":"-5","c":"usd"}"#,
        text("-0.05"),
    );
    check_native("a | minor_units('JPY')", r#"{"a":1234}"#, text("1234"));
    check_native("a | minor_units('KWD')", r#"{"a":1234}"#, text("1.234"));
    check_native("a | minor_units('EUR')", "{}", Tree::Null);
    check_refused(
        "a | minor_units('EUR')",
        r#"{"a":12.5}"#,
        "an integer of minor units",
    );
    check_refused("a | minor_units(c)", r#"{"a":12,"c":"ZZZ"}"#, "ISO 4217");
    check_refused("a | minor_units(c)", r#"{"a":12}"#, "a text as `currency`");
    check_native("a | decimal", r#"{"a":" 0012.50 "}"#, text("12.50"));
    check_native("a | decimal", r#"{"a":"-1"}"#, text("-1"));
    for bad in [
        "1,234.50", "1.", ".5", "", "abc", "1e5", "--1", "12.50-", "NaN",
    ] {
        check_refused(
            "a | decimal",
            &format!(r#"{{"a":"{bad}"}}"#),
            "a decimal number",
        );
    }
    check_native("a | currency", r#"{"a":" eur"}"#, text("EUR"));
    check_refused("a | currency", r#"{"a":"euro"}"#, "not a text of length 4");
}

#[test]
fn points_in_time_become_utc() {
    check_native(
        "a | date('%d/%m/%Y', 'Europe/Berlin')",
        r#"{"a":"24/12/2025"}"#,
        text("2025-12-23T23:00:00Z"),
    );
    check_native(
        "a | date('%Y-%m-%d %H:%M:%S %z')",
        r#"{"a":"2025-01-01 10:00:00 +0200"}"#,
        text("2025-01-01T08:00:00Z"),
    );
    check_refused(
        "a | date('%d/%m/%Y')",
        r#"{"a":"24/12/2025"}"#,
        "a text as `zone`",
    );
    check_refused(
        "a | date('%d/%m/%Y', z)",
        r#"{"a":"24/12/2025","z":"Mars"}"#,
        "IANA",
    );
    check_refused(
        "a | date('%d/%m/%Y', 'UTC')",
        r#"{"a":"2025-12-24"}"#,
        "%d/%m/%Y",
    );
    for (given, expected) in [
        ("2025-01-02T03:04:05Z", "2025-01-02T03:04:05Z"),
        ("2025-01-02T03:04:05+0000", "2025-01-02T03:04:05Z"),
        ("2025-01-02 03:04:05+02", "2025-01-02T01:04:05Z"),
        (
            "2025-01-02T03:04:05.1234567-01:30",
            "2025-01-02T04:34:05.123456700Z",
        ),
        ("2025-01-02T24:00:00Z", "2025-01-03T00:00:00Z"),
        ("2025-01-02 03:04 Z", "2025-01-02T03:04:00Z"),
    ] {
        check_native(
            "a | datetime",
            &format!(r#"{{"a":"{given}"}}"#),
            text(expected),
        );
    }
    check_native(
        "a | datetime('Europe/Berlin')",
        r#"{"a":"2025-03-30T02:30:00"}"#,
        text("2025-03-30T01:30:00Z"),
    );
    check_native(
        "a | datetime('Europe/Berlin')",
        r#"{"a":"2025-10-26T02:30:00"}"#,
        text("2025-10-26T00:30:00Z"),
    );
    check_refused(
        "a | datetime",
        r#"{"a":"2025-03-30T02:30:00"}"#,
        "a text as `zone`",
    );
    for bad in [
        "2025-02-30T00:00:00Z",
        "2025-01-02T24:00:01Z",
        "2025-01-02",
        "x",
        "2025-01-02T03:04:05.Zx",
        "2025-01-02T3:04:05Z",
        "é025-01-02T03",
    ] {
        check_refused("a | datetime", &format!(r#"{{"a":"{bad}"}}"#), "RFC 3339");
    }
    check_native(
        "a | epoch_s",
        r#"{"a":1700000000}"#,
        text("2023-11-14T22:13:20Z"),
    );
    check_native(
        "a | epoch_s",
        r#"{"a":"1700000000.25"}"#,
        text("2023-11-14T22:13:20.250Z"),
    );
    check_native(
        "a | epoch_s",
        r#"{"a":"-0.5"}"#,
        text("1969-12-31T23:59:59.500Z"),
    );
    check_native(
        "a | epoch_ms",
        r#"{"a":1700000000123}"#,
        text("2023-11-14T22:13:20.123Z"),
    );
    check_refused("a | epoch_ms", r#"{"a":"soon"}"#, "milliseconds");
    check_refused("a | epoch_s", r#"{"a":999999999999999}"#, "seconds since");
    check_native(
        "a | odata_date",
        r#"{"a":"/Date(1700000000000+0100)/"}"#,
        text("2023-11-14T22:13:20Z"),
    );
    check_native(
        "a | odata_date",
        r#"{"a":"/Date(-1000)/"}"#,
        text("1969-12-31T23:59:59Z"),
    );
    check_refused("a | odata_date", r#"{"a":"/Date()/"}"#, "/Date(");
    check_native(
        "a | rfc2822",
        r#"{"a":"Tue, 1 Jul 2003 10:52:37 +0200"}"#,
        text("2003-07-01T08:52:37Z"),
    );
    check_refused("a | rfc2822", r#"{"a":"yesterday"}"#, "RFC 2822");
}

#[test]
fn addresses_become_match_keys() {
    for (given, expected) in [
        (" Ada.Lovelace+x@Example.ORG ", "ada.lovelace+x@example.org"),
        ("Ada <mailto:ada@example.org>", "ada@example.org"),
        ("ada@bücher.example.", "ada@xn--bcher-kva.example"),
        ("\\\"a@b\\\"@example.org", "\"a@b\"@example.org"),
    ] {
        check_native(
            "a | email",
            &format!(r#"{{"a":"{given}"}}"#),
            text(expected),
        );
    }
    check_native("a | email", r#"{"a":"N/A"}"#, Tree::Null);
    for bad in [
        "ada",
        "a@b@c.example",
        "@example.org",
        "ada@",
        "a da@example.org",
        "ada@exa mple.org",
    ] {
        check_refused(
            "a | email",
            &format!(r#"{{"a":"{bad}"}}"#),
            "an e-mail address",
        );
    }
}

#[test]
fn phone_numbers_become_e164_or_null() {
    for (given, country, expected) in [
        ("+49 30 901820", "'US'", Some("+4930901820")),
        ("0049 (0)30 901820", "none", Some("+4930901820")),
        ("030 901820", "'DE'", Some("+4930901820")),
        ("+44 (0)20 7946 0958", "none", Some("+442079460958")),
        ("+39 06 6982", "none", Some("+39066982")),
        ("０３０ ９０１８２０", "'de'", Some("+4930901820")),
        ("030 901820", "none", None),
        ("4.47E+11", "'GB'", None),
        ("110", "'DE'", None),
        ("call me", "'DE'", None),
        ("", "'DE'", None),
    ] {
        let expected = expected.map_or(Tree::Null, text);
        check(
            &format!("a | phone({country})"),
            &format!(r#"{{"a":"{given}"}}"#),
            expected,
        );
    }
    check_refused("a | phone('XX')", r#"{"a":"030 901820"}"#, "ISO 3166");
}

#[test]
fn countries_are_known_by_codes_and_names() {
    for (given, expected) in [
        ("de", Some("DE")),
        ("DEU", Some("DE")),
        ("Deutschland", Some("DE")),
        ("ÖSTERREICH", Some("AT")),
        ("United States", Some("US")),
        ("usa", Some("US")),
        ("Czech Republic", Some("CZ")),
        ("Atlantis", None),
    ] {
        let expected = expected.map_or(Tree::Null, text);
        check_native("a | country", &format!(r#"{{"a":"{given}"}}"#), expected);
    }
}

#[test]
fn texts_are_converted_and_quoted() {
    check_native("a | lower", r#"{"a":"ÄB"}"#, text("äb"));
    check_native("a | upper", r#"{"a":"äb"}"#, text("ÄB"));
    check_native("a | trim", r#"{"a":" x "}"#, text("x"));
    check_refused("a | lower", r#"{"a":["secret"]}"#, "not a list of length 1");
    check_native("a | split", r#"{"a":"x, y,"}"#, tree(r#"["x","y",""]"#));
    check_native("a | split(';')", r#"{"a":""}"#, tree("[]"));
    check_native(
        "a | md5",
        r#"{"a":" Ada@Example.org "}"#,
        text("5bfcf2d8e394674550332640d72db509"),
    );
    check_native(
        "a | sha256",
        r#"{"a":"abc"}"#,
        text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    );
    check_native("a | gid", r#"{"a":"gid://shop/Customer/123"}"#, text("123"));
    check_native(
        "a | gid('shop/Customer')",
        r#"{"a":123}"#,
        text("gid://shop/Customer/123"),
    );
    check_refused("a | gid", r#"{"a":"123"}"#, "a global id");
    check_refused(
        "a | gid('shop/Customer')",
        r#"{"a":"1/../2"}"#,
        "a plain id",
    );
    check_native(
        "a | soql",
        r#"{"a":"O'Brien\\ or\n"}"#,
        text(r"'O\'Brien\\ or\n'"),
    );
    check_native("a | soql", r#"{"a":["x","y'"]}"#, text(r"('x','y\'')"));
    check_refused("a | soql", r#"{"a":[]}"#, "a list with items");
    check_native("a | odata", r#"{"a":"O'Brien"}"#, text("'O''Brien'"));
    check_native(
        "a | search_term",
        r#"{"a":"a\" OR b:\\*\n"}"#,
        text(r#""a\" OR b:\\* ""#),
    );
}

#[test]
fn lists_and_tables_are_looked_through() {
    check_native("a | lookup(statuses)", r#"{"a":"new"}"#, text("NEW"));
    check_native("a | lookup(statuses)", r#"{"a":1}"#, text("ONE"));
    check_native("a | lookup({'x': 'X'})", r#"{"a":"x"}"#, text("X"));
    check_native(
        "a | lookup({'x': 'X'}, default='?')",
        r#"{"a":"y"}"#,
        text("?"),
    );
    check_refused(
        "a | lookup(statuses)",
        r#"{"a":"secret"}"#,
        "not a text of length 6",
    );
    check_native("a | default('x')", "{}", text("x"));
    check_native("a | default(b)", r#"{"b":2}"#, number("2"));
    check_native("a | default('x')", r#"{"a":false}"#, Tree::Bool(false));
    check_native("a | first", r#"{"a":[1,2]}"#, number("1"));
    check_native("a | last", r#"{"a":[1,2]}"#, number("2"));
    check_native("a | first", r#"{"a":[]}"#, Tree::Null);
    check_native("a | first", r#"{"a":5}"#, number("5"));
    check_native(
        "a | join(',')",
        r#"{"a":["x",1,null,true]}"#,
        text("x,1,true"),
    );
    check_refused("a | join(',')", r#"{"a":[{}]}"#, "a list of texts");
    check_native(
        "a | pluck('id')",
        r#"{"a":[{"id":1},{},{"id":2}]}"#,
        tree("[1,2]"),
    );
    check_native(
        "a | where('t','m') | pluck('v') | first",
        r#"{"a":[{"t":"h","v":1},{"t":"m","v":2}]}"#,
        number("2"),
    );
    check_native("a | objects('id')", r#"{"a":[1]}"#, tree(r#"[{"id":1}]"#));
    check_native(
        "a | entry('77')",
        r#"{"a":[{"id":77,"value":"x"}]}"#,
        text("x"),
    );
    check_native(
        "a | entry('n', key='name', value='text')",
        r#"{"a":[{"name":"n","text":"x"}]}"#,
        text("x"),
    );
    check_native(
        "a | entry('zz')",
        r#"{"a":[{"id":77,"value":"x"}]}"#,
        Tree::Null,
    );
}

const HOSTILE: &[&str] = &[
    "../x",
    "%2e%2e",
    "a\r\nX-Evil: 1",
    "'\"",
    "]]>",
    "\"}",
    "{{ 7*7 }}",
    "a&b=c",
    "a?b#c",
    "</a><b/>",
    "<!--",
    "&lt;",
    "\u{0}\u{1f}",
];

#[test]
fn hostile_values_never_change_a_request() {
    let template = RequestTemplate::compile(
        "GET /api/{{ key }}/x-{{ key }}?page[size]={{ size }}&q=type:{{ key }}&status?={{ status }}",
        &language(),
    )
    .unwrap();
    for value in HOSTILE {
        let context = Context::new(vec![
            ("key".into(), text(value)),
            ("size".into(), number("10")),
            ("status".into(), text(value)),
        ]);
        let request = template.render(&context).unwrap();
        assert_eq!(
            request.segments,
            ["api".to_owned(), (*value).to_owned(), format!("x-{value}")]
        );
        assert_eq!(
            request.query,
            [
                ("page[size]".to_owned(), "10".to_owned()),
                ("q".to_owned(), format!("type:{value}")),
                ("status".to_owned(), (*value).to_owned()),
            ]
        );
    }
    for value in ["", ".", ".."] {
        let context = Context::new(vec![
            ("key".into(), text(value)),
            ("size".into(), number("1")),
        ]);
        assert!(matches!(
            template.render(&context),
            Err(EvaluateError::Refused { .. })
        ));
    }
}

#[test]
fn a_request_says_what_is_wrong_with_its_text() {
    let error = |source: &str| RequestTemplate::compile(source, &language()).unwrap_err();
    assert_eq!(error("FETCH /x").offset, 0);
    assert_eq!(error("GET x").offset, 4);
    assert_eq!(error("GET /a//b").offset, 7);
    assert_eq!(error("GET /a/../b").offset, 7);
    assert_eq!(error("GET /a%20b").offset, 6);
    assert_eq!(error("GET /{% if a %}x/y{% endif %}").offset, 15);
    assert_eq!(error("GET /a?=1").offset, 7);
    assert_eq!(error("GET /a?b?=x").offset, 10);
    assert_eq!(error("GET /a?b={{ x | lowr }}").offset, 16);
    let template = RequestTemplate::compile("GET /a/{{ keyz }}/", &language()).unwrap();
    assert_eq!(template.names()[0].offset, 10);
    let context = context(r#"{"keys":[]}"#);
    assert_eq!(
        template.render(&context).unwrap_err(),
        EvaluateError::Undefined {
            name: "keyz".into()
        }
    );
}

#[test]
fn separators_inside_code_do_not_cut_a_request() {
    let template = RequestTemplate::compile(
        "GET /a/{{ key | default('x/y?z&w') }}?ids={{ keys | join('&') }}&wsdl",
        &language(),
    )
    .unwrap();
    let request = template
        .render(&context(r#"{"keys":["1","2"],"key":null}"#))
        .unwrap();
    assert_eq!(request.segments, ["a", "x/y?z&w"]);
    assert_eq!(
        request.query,
        [
            ("ids".to_owned(), "1&2".to_owned()),
            ("wsdl".to_owned(), String::new())
        ]
    );
}

#[test]
fn an_optional_parameter_is_left_out_when_there_is_nothing() {
    let template = RequestTemplate::compile("GET /a/?b?={{ filter.status }}", &language()).unwrap();
    for json in [r#"{"filter":{}}"#, r#"{"filter":{"status":null}}"#, "{}"] {
        assert_eq!(template.render(&context(json)).unwrap().query, []);
    }
    let request = template
        .render(&context(r#"{"filter":{"status":"new"}}"#))
        .unwrap();
    assert!(request.trailing_slash);
    assert_eq!(request.query, [("b".to_owned(), "new".to_owned())]);
    assert!(
        template
            .render(&context(r#"{"filter":{"status":["new"]}}"#))
            .is_err()
    );
}

#[test]
fn a_text_template_writes_plain_values_only() {
    let render = |source: &str, json: &str| {
        TextTemplate::compile(source, &language())
            .unwrap()
            .render(&context(json))
    };
    assert_eq!(
        render("a {{ x }} {{ y }}{{ z }}", r#"{"x":true,"y":12,"z":10.50}"#).unwrap(),
        "a true 1210.5"
    );
    for value in HOSTILE {
        let context = Context::new(vec![("x".into(), text(value))]);
        let template = TextTemplate::compile("<{{ x }}>", &language()).unwrap();
        assert_eq!(template.render(&context).unwrap(), format!("<{value}>"));
    }
    let undefined = EvaluateError::Undefined {
        name: "filter.status".into(),
    };
    assert_eq!(
        render("{{ filter.status }}", r#"{"filter":{}}"#).unwrap_err(),
        undefined
    );
    for json in [r#"{"x":null}"#, r#"{"x":[1]}"#, r#"{"x":{"a":1}}"#] {
        let error = render("{{ x }}", json).unwrap_err();
        assert!(
            matches!(&error, EvaluateError::Unprintable { name, .. } if &**name == "x"),
            "{error}"
        );
    }
    for source in [
        "{% macro f() %}{% endmacro %}",
        "{% autoescape false %}{% endautoescape %}",
        "{% raw %}{% endraw %}",
        "{% set x %}{% endset %}",
        "{{ x | safe }}",
        "{{ x",
        "{% if x %}",
    ] {
        assert!(
            TextTemplate::compile(source, &language()).is_err(),
            "{source}"
        );
    }
    let names = TextTemplate::compile(
        "{% for key in keys %}{{ key }}{{ page.size }}{% endfor %}",
        &language(),
    )
    .unwrap();
    let names = names
        .names()
        .iter()
        .map(|read| &*read.name)
        .collect::<Vec<_>>();
    assert_eq!(names, ["keys", "page"]);
}

#[test]
fn a_header_stays_on_its_line() {
    let template = HeaderTemplate::compile("v {{ x }}", &language()).unwrap();
    let render = |value: &str| template.render(&Context::new(vec![("x".into(), text(value))]));
    assert_eq!(render("1").unwrap(), "v 1");
    for value in ["a\r\nb", "a\nb", "a\rb", "a\0b"] {
        assert!(matches!(render(value), Err(EvaluateError::Refused { .. })));
    }
    assert!(HeaderTemplate::compile("a\nb", &language()).is_err());
}

#[test]
fn a_body_keeps_types_and_leaves_optional_members_out() {
    let structure = tree(
        r#"{"ids":"{{ keys }}","first":"{{ page.size }}","text":"n={{ page.size }}","const":5,"status?":"{{ filter.status }}","deep":[{"x":"{{ key }}"}]}"#,
    );
    let template = ValueTemplate::compile(&structure, &language()).unwrap();
    let names = template
        .names()
        .iter()
        .map(|name| &*name.read.name)
        .collect::<Vec<_>>();
    assert_eq!(names, ["keys", "page", "page", "filter", "key"]);
    for value in HOSTILE {
        let context = Context::new(vec![
            ("keys".into(), Tree::List(vec![text(value)])),
            ("key".into(), text(value)),
            ("page".into(), tree(r#"{"size":10}"#)),
        ]);
        let expected = Tree::Map(vec![
            ("ids".into(), Tree::List(vec![text(value)])),
            ("first".into(), number("10")),
            ("text".into(), text("n=10")),
            ("const".into(), number("5")),
            (
                "deep".into(),
                Tree::List(vec![Tree::Map(vec![("x".into(), text(value))])]),
            ),
        ]);
        assert_eq!(template.render(&context).unwrap(), expected);
    }
    let missing =
        ValueTemplate::compile(&tree(r#"{"a":"{{ filter.status }}"}"#), &language()).unwrap();
    assert_eq!(
        missing.render(&context("{}")).unwrap_err(),
        EvaluateError::Undefined {
            name: "filter.status".into()
        }
    );
    let error =
        ValueTemplate::compile(&tree(r#"{"a":[0,"{{ x | lowr }}"]}"#), &language()).unwrap_err();
    assert_eq!(error.path, [Box::<str>::from("a"), Box::<str>::from("1")]);
    assert_eq!(error.error.offset, 7);
    assert!(ValueTemplate::compile(&tree(r#"{"{{ a }}":1}"#), &language()).is_err());
    assert!(ValueTemplate::compile(&tree(r#"{"a?":"x {{ a }}"}"#), &language()).is_err());
}

#[test]
fn xml_values_stand_in_text_and_quoted_attributes_only() {
    for bad in [
        "{{ x }}",
        "<{{ x }}/>",
        "<a {{ x }}/>",
        "<a b={{ x }}/>",
        "<a {{ x }}='1'/>",
        "<a><!-- {{ x }} --></a>",
        "<a><![CDATA[{{ x }}]]></a>",
        "<!DOCTYPE a><a/>",
        "<?xml version='1.0'?><a/>",
        "<a>{% if x %}</a>{% endif %}",
        "<a>{% if x %}<b>{% else %}{% endif %}</b></a>",
        "<a {% if x %}b='1'{% endif %}/>",
        "<a b='{% if x %}1{% endif %}'/>",
        "<a>{% if x %}</a><a>{% endif %}</a>",
        "<a>",
        "<a></b>",
        "<a b='<'/>",
        "<a>&nbsp;</a>",
        "<a>{{ x | safe }}</a>",
        "<a>{{ x }}</a",
        "<a>{% filter upper %}{% endfilter %}</a>",
    ] {
        assert!(XmlTemplate::compile(bad, &language()).is_err(), "{bad}");
    }
    let template = XmlTemplate::compile(
        "<erp:A xmlns:erp=\"urn:x\" id=\"{{ x }}\" o='{{ x }}'>{% for k in keys %}<erp:K>{{ k }}</erp:K>{% endfor %}{% if x == 'no' %}<no/>{% else %}<yes/>{% endif %}&amp;</erp:A>",
        &language(),
    )
    .unwrap();
    let context = Context::new(vec![
        ("x".into(), text("<'\"&>\n\u{1}")),
        ("keys".into(), Tree::List(vec![text("]]>"), number("5")])),
    ]);
    assert_eq!(
        template.render(&context).unwrap(),
        "<erp:A xmlns:erp=\"urn:x\" id=\"&lt;&#39;&quot;&amp;&gt;&#10;\" o='&lt;&#39;&quot;&amp;&gt;&#10;'><erp:K>]]&gt;</erp:K><erp:K>5</erp:K><yes/>&amp;</erp:A>"
    );
}

/// The elements and attribute names of a document, and what its attribute and text say.
fn structure(xml: &str) -> (Vec<String>, Vec<String>) {
    use quick_xml::XmlVersion;
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                shape.push(format!("<{}", start.name().as_ref()));
                for attribute in start.attributes() {
                    let attribute = attribute.unwrap();
                    shape.push(format!("@{}", attribute.key.as_ref()));
                    values.push(
                        attribute
                            .normalized_value(XmlVersion::default())
                            .unwrap()
                            .into_owned(),
                    );
                }
            }
            Event::End(_) => shape.push(">".to_owned()),
            Event::Text(_) | Event::GeneralRef(_) => {}
            Event::Eof => return (shape, values),
            other => shape.push(format!("{other:?}")),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_changes_the_number_of_segments_or_pairs(key in any::<String>(), other in any::<String>()) {
        let template = RequestTemplate::compile("POST /a/{{ key }}/b{{ other }}?x={{ key }}&y={{ other }}z", &language()).unwrap();
        let context = Context::new(vec![("key".into(), text(&key)), ("other".into(), text(&other))]);
        match template.render(&context) {
            Ok(request) => {
                prop_assert_eq!(request.segments.len(), 3);
                prop_assert_eq!(request.query, vec![("x".to_owned(), key), ("y".to_owned(), format!("{other}z"))]);
            }
            Err(error) => prop_assert!(matches!(key.as_str(), "" | "." | ".."), "{}", error),
        }
    }

    #[test]
    fn no_value_changes_the_elements_of_an_xml_body(value in any::<String>()) {
        let template = XmlTemplate::compile("<a b=\"{{ x }}\" c='{{ x }}'><d>{{ x }}</d></a>", &language()).unwrap();
        let rendered = template.render(&Context::new(vec![("x".into(), text(&value))])).unwrap();
        let (shape, values) = structure(&rendered);
        prop_assert_eq!(shape, ["<a", "@b", "@c", "<d", ">", ">"]);
        let carried = value.chars().filter(|c| !matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')).collect::<String>();
        prop_assert_eq!(&values, &vec![carried.clone(), carried]);
    }

    #[test]
    fn no_text_makes_the_compilers_panic(source in "[a-z{}%|()\\[\\]'\"<>/?&=. ]{0,40}") {
        let _ = Expression::compile(&source, &language());
        let _ = TextTemplate::compile(&source, &language());
        let _ = XmlTemplate::compile(&source, &language());
        let _ = RequestTemplate::compile(&format!("GET /{source}"), &language());
    }
}

#[test]
fn a_name_that_is_only_sliced_is_still_read() {
    let item = Tree::Map(vec![("name".into(), "ana maria silva".into())]);
    let text = "(name | split(' '))[1:] | join(' ')";
    let expression = Expression::compile(text, &Language::default()).unwrap();
    let outcome = expression.evaluate(&Scope::of(&item)).unwrap();
    assert_eq!(*outcome.value, Tree::from("maria silva"));
}

#[test]
fn a_table_in_quotes_is_told_at_load() {
    let error = Expression::compile("code | lookup('words')", &Language::default()).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.offset),
        ("A table is named without quotes.", 14)
    );
    assert_eq!(error.hint.as_deref(), Some("write `lookup(words)`"));
}
