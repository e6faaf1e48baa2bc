//! The filters of the language: each has one implementation, used natively and by minijinja.

use std::borrow::Cow;
use std::error::Error as _;

use minijinja::value::{Kwargs, Rest, Value, ValueOrKwargs};
use minijinja::{Environment, ErrorKind, Output, State, UndefinedBehavior, filters, tests};

use super::convert::{contact, list, number, place, text, time};
use super::error::{EvaluateError, Found, LanguageError, nearest};
use super::value::{Decimals, found, from_value, to_value};
use super::{Limits, xml};
use crate::protocol::tree::Tree;

/// What a filter does to a value.
type Convert = fn(&Tree, &Arguments<'_>) -> Result<Tree, EvaluateError>;

/// One of our own filters.
#[derive(Debug)]
pub(super) struct Filter {
    /// Its name in connector files.
    pub name: &'static str,
    /// What it does.
    pub convert: Convert,
    /// Its parameters by name, in order; the mandatory ones come first.
    pub parameters: &'static [&'static str],
    /// How many parameters are mandatory.
    pub required: usize,
    /// Whether it is called for null; the others pass null through.
    pub takes_null: bool,
    /// Whether it refuses a number that passed through a float.
    pub is_exact: bool,
}

impl Filter {
    const fn new(
        name: &'static str,
        convert: Convert,
        parameters: &'static [&'static str],
        required: usize,
    ) -> Self {
        Self {
            name,
            convert,
            parameters,
            required,
            takes_null: false,
            is_exact: true,
        }
    }

    const fn loose(self) -> Self {
        Self {
            is_exact: false,
            ..self
        }
    }

    const fn taking_null(self) -> Self {
        Self {
            takes_null: true,
            ..self
        }
    }

    /// Refuses a wrong number of arguments at load.
    pub fn check_count(
        &self,
        positional: usize,
        named: usize,
        place: usize,
    ) -> Result<(), LanguageError> {
        let given = positional + named;
        if given >= self.required && given <= self.parameters.len() {
            return Ok(());
        }
        let usage = match self.parameters {
            [] => format!("write `| {}`", self.name),
            names => format!("write `| {}({})`", self.name, names.join(", ")),
        };
        Err(LanguageError::new(
            format!(
                "`{}` takes {} to {} arguments, not {given}.",
                self.name,
                self.required,
                self.parameters.len()
            ),
            place,
        )
        .with_hint(Some(usage)))
    }

    /// Refuses an unknown argument name at load.
    pub fn check_named(&self, name: &str, place: usize) -> Result<(), LanguageError> {
        if self.parameters.contains(&name) {
            return Ok(());
        }
        Err(
            LanguageError::new(format!("`{}` has no argument `{name}`.", self.name), place)
                .with_hint(nearest(name, self.parameters.iter().copied())),
        )
    }
}

/// The arguments of one call of a filter.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    /// The filter, for messages.
    pub filter: &'static str,
    /// The ones without a name.
    pub positional: &'a [Cow<'a, Tree>],
    /// The ones with a name.
    pub named: &'a [(&'a str, Cow<'a, Tree>)],
}

impl Arguments<'_> {
    /// The argument at that place or of that name.
    pub fn get(&self, at: usize, name: &str) -> Option<&Tree> {
        let named = || {
            self.named
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        self.positional.get(at).or_else(named).map(|value| &**value)
    }

    /// The argument as text; null and absent are `None`.
    pub fn text(&self, at: usize, name: &str) -> Result<Option<&str>, EvaluateError> {
        match self.get(at, name) {
            None | Some(Tree::Null) => Ok(None),
            Some(Tree::Text(text) | Tree::Number(text)) => Ok(Some(text)),
            Some(other) => Err(self.refuse(&format!("a text as `{name}`"), other)),
        }
    }

    /// The argument as text; null and absent are errors.
    pub fn required(&self, at: usize, name: &str) -> Result<&str, EvaluateError> {
        self.text(at, name)?
            .ok_or_else(|| self.refuse(&format!("a text as `{name}`"), &Tree::Null))
    }

    /// The error that this filter cannot convert that value.
    pub fn refuse(&self, expected: &str, value: &Tree) -> EvaluateError {
        EvaluateError::Convert {
            filter: self.filter.into(),
            expected: expected.into(),
            found: Found::of(value),
        }
    }
}

/// All our own filters.
static OWN: &[Filter] = &[
    Filter::new("minor_units", number::minor_units, &["currency"], 1),
    Filter::new("decimal", number::decimal, &[], 0),
    Filter::new("currency", number::currency, &[], 0),
    Filter::new("date", time::date, &["format", "zone"], 1),
    Filter::new("datetime", time::datetime, &["zone"], 0),
    Filter::new("strftime", time::strftime, &["format", "zone"], 1),
    Filter::new("epoch_s", time::epoch_s, &[], 0),
    Filter::new("epoch_ms", time::epoch_ms, &[], 0),
    Filter::new("odata_date", time::odata_date, &[], 0),
    Filter::new("rfc2822", time::rfc2822, &[], 0),
    Filter::new("phone", contact::phone, &["country"], 0),
    Filter::new("email", contact::email, &[], 0),
    Filter::new("country", place::country, &[], 0),
    Filter::new("lookup", list::lookup, &["table", "default"], 1),
    Filter::new("default", list::default, &["value"], 1)
        .taking_null()
        .loose(),
    Filter::new("first", list::first, &[], 0).loose(),
    Filter::new("last", list::last, &[], 0).loose(),
    Filter::new("join", list::join, &["separator"], 0),
    Filter::new("split", text::split, &["separator"], 0),
    Filter::new("lower", text::lower, &[], 0),
    Filter::new("upper", text::upper, &[], 0),
    Filter::new("trim", text::trim, &[], 0),
    Filter::new("md5", text::md5, &[], 0),
    Filter::new("sha256", text::sha256, &[], 0),
    Filter::new("gid", text::gid, &["type"], 0),
    Filter::new("soql", text::soql, &[], 0),
    Filter::new("odata", text::odata, &[], 0),
    Filter::new("search_term", text::search_term, &[], 0),
    Filter::new("pluck", list::pluck, &["key"], 1).loose(),
    Filter::new("where", list::where_, &["key", "value"], 2).loose(),
    Filter::new("objects", list::objects, &["name"], 1),
    Filter::new("entry", list::entry, &["name", "key", "value"], 1).loose(),
];

/// The filters of minijinja that we offer beside our own.
const BUILTIN: &[&str] = &[
    "abs",
    "batch",
    "bool",
    "capitalize",
    "count",
    "float",
    "int",
    "items",
    "length",
    "list",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "unique",
];

/// The tests that may follow `is`.
pub(super) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "even",
    "float",
    "in",
    "integer",
    "iterable",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "undefined",
];

/// Refuses a constant zone or currency that does not exist.
pub(super) fn check_constant(
    parameter: &str,
    text: &str,
    place: usize,
) -> Result<(), LanguageError> {
    let fault = match parameter {
        "zone" if !time::is_zone(text) => "an IANA time zone",
        "currency" if !number::is_currency(text) => "an ISO 4217 currency code",
        _ => return Ok(()),
    };
    Err(LanguageError::new(
        format!("`{text}` is not {fault}."),
        place,
    ))
}

/// The filter of ours of that name.
pub(super) fn own(name: &str) -> Option<&'static Filter> {
    OWN.iter().find(|filter| filter.name == name)
}

/// The names of all filters.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    OWN.iter()
        .map(|filter| filter.name)
        .chain(BUILTIN.iter().copied())
}

/// An environment with our filters and tests, without functions or templates.
pub(super) fn environment(limits: Limits, undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_fuel(Some(limits.fuel));
    environment.set_recursion_limit(limits.recursion);
    environment.set_undefined_behavior(undefined);
    environment.set_debug(false);
    environment.set_formatter(write_plain);
    for filter in OWN {
        environment.add_filter(
            filter.name,
            move |value: &Value, arguments: Rest<ValueOrKwargs>| call(filter, value, arguments),
        );
    }
    add_builtin_filters(&mut environment);
    add_tests(&mut environment);
    environment
}

/// Calls one of our filters with minijinja's values.
fn call(
    filter: &'static Filter,
    value: &Value,
    arguments: Rest<ValueOrKwargs>,
) -> Result<Value, minijinja::Error> {
    let is_null = value.is_undefined() || value.is_none();
    if is_null && !filter.takes_null {
        return Ok(Value::from(()));
    }
    let (input, exact) = from_value(value).map_err(raise)?;
    if !exact && filter.is_exact {
        return Err(raise(EvaluateError::Convert {
            filter: filter.name.into(),
            expected: "an exact number (use it directly on a plain path, without operators)".into(),
            found: Found::kind("a float"),
        }));
    }
    let mut positional = Vec::new();
    let mut named = Vec::new();
    for argument in arguments.0 {
        let argument = argument.into_value();
        if argument.is_kwargs() {
            let keywords = Kwargs::try_from(argument)?;
            for name in keywords.args() {
                let (tree, _) = from_value(&keywords.peek::<Value>(name)?).map_err(raise)?;
                named.push((name.to_owned(), tree));
            }
        } else {
            positional.push(Cow::Owned(from_value(&argument).map_err(raise)?.0));
        }
    }
    let given = positional.len() + named.len();
    let is_known = named
        .iter()
        .all(|(name, _)| filter.parameters.contains(&name.as_str()));
    if given < filter.required || given > filter.parameters.len() || !is_known {
        return Err(raise(EvaluateError::Failed {
            reason: format!("`{}` was given wrong arguments", filter.name).into(),
        }));
    }
    let named = named
        .iter()
        .map(|(name, tree)| (name.as_str(), Cow::Borrowed(tree)))
        .collect::<Vec<_>>();
    let arguments = Arguments {
        filter: filter.name,
        positional: &positional,
        named: &named,
    };
    let output = (filter.convert)(&input, &arguments).map_err(raise)?;
    Ok(to_value(&output, Decimals::Float))
}

fn raise(error: EvaluateError) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, "refused").with_source(error)
}

/// Adds minijinja's own filters so that null passes through them, where they would read it as the text `None`.
fn add_builtin_filters(environment: &mut Environment<'static>) {
    let all: [(&'static str, Value); 27] = [
        ("abs", Value::from_function(filters::abs)),
        ("batch", Value::from_function(filters::batch)),
        ("bool", Value::from_function(filters::bool)),
        ("capitalize", Value::from_function(filters::capitalize)),
        ("count", Value::from_function(filters::length)),
        ("float", Value::from_function(filters::float)),
        ("int", Value::from_function(filters::int)),
        ("items", Value::from_function(filters::items)),
        ("length", Value::from_function(filters::length)),
        ("list", Value::from_function(filters::list)),
        ("map", Value::from_function(filters::map)),
        ("max", Value::from_function(filters::max)),
        ("min", Value::from_function(filters::min)),
        ("reject", Value::from_function(filters::reject)),
        ("rejectattr", Value::from_function(filters::rejectattr)),
        ("replace", Value::from_function(filters::replace)),
        ("reverse", Value::from_function(filters::reverse)),
        ("round", Value::from_function(filters::round)),
        ("select", Value::from_function(filters::select)),
        ("selectattr", Value::from_function(filters::selectattr)),
        ("slice", Value::from_function(filters::slice)),
        ("sort", Value::from_function(filters::sort)),
        ("string", Value::from_function(filters::string)),
        ("sum", Value::from_function(filters::sum)),
        ("title", Value::from_function(filters::title)),
        ("tojson", Value::from_function(filters::tojson)),
        ("unique", Value::from_function(filters::unique)),
    ];
    for (name, original) in all {
        let is_count = matches!(name, "count" | "length");
        environment.add_filter(
            name,
            move |state: &mut State, value: &Value, rest: Rest<ValueOrKwargs>| {
                if value.is_undefined() || value.is_none() {
                    return Ok(if is_count {
                        Value::from(0)
                    } else {
                        Value::from(())
                    });
                }
                let mut arguments = vec![value.clone()];
                arguments.extend(rest.0.into_iter().map(ValueOrKwargs::into_value));
                original.call(state, &arguments)
            },
        );
    }
}

fn add_tests(environment: &mut Environment<'static>) {
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("divisibleby", tests::is_divisibleby);
    environment.add_test("endingwith", tests::is_endingwith);
    environment.add_test("eq", tests::is_eq);
    environment.add_test("even", tests::is_even);
    environment.add_test("float", tests::is_float);
    environment.add_test("in", tests::is_in);
    environment.add_test("integer", tests::is_integer);
    environment.add_test("iterable", tests::is_iterable);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("none", |value: &Value| {
        value.is_none() || value.is_undefined()
    });
    environment.add_test("number", tests::is_number);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("startingwith", tests::is_startingwith);
    environment.add_test("string", tests::is_string);
    environment.add_test("undefined", tests::is_undefined);
}

/// The text of a value that stands alone: texts, numbers and truth values have one, nothing else does.
fn plain(value: &Value, place: &'static str) -> Result<Option<String>, minijinja::Error> {
    use minijinja::value::ValueKind::{Bool, Number, String as Text};
    match value.kind() {
        Text => Ok(None),
        Bool => Ok(Some(value.is_true().to_string())),
        Number if value.is_integer() => Ok(Some(value.to_string())),
        Number => match from_value(value) {
            Ok((Tree::Number(text), _)) => Ok(Some(text.into())),
            _ => Err(unprintable(value, place)),
        },
        _ if value.is_undefined() => Err(minijinja::Error::from(ErrorKind::UndefinedError)),
        _ => Err(unprintable(value, place)),
    }
}

fn unprintable(value: &Value, place: &'static str) -> minijinja::Error {
    raise(EvaluateError::Unprintable {
        name: "a value".into(),
        found: found(value),
        place,
    })
}

/// Writes a value into a text template.
fn write_plain(
    out: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    match plain(value, "a text")? {
        Some(text) => out.write_str(&text)?,
        None => out.write_str(value.as_str().unwrap_or_default())?,
    }
    Ok(())
}

/// Writes a value into an XML template, escaped for text and for attributes.
pub(super) fn write_xml(
    out: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    match plain(value, "XML")? {
        Some(text) => out.write_str(&xml::escape(&text))?,
        None => out.write_str(&xml::escape(value.as_str().unwrap_or_default()))?,
    }
    Ok(())
}

/// Our error for one of minijinja's at run time; its detail may quote a value, so only its kind is told.
pub(super) fn evaluate_error(error: &minijinja::Error, fuel: u64) -> EvaluateError {
    match error.kind() {
        ErrorKind::OutOfFuel => return EvaluateError::OutOfFuel { fuel },
        ErrorKind::UndefinedError => {
            return EvaluateError::Undefined {
                name: "a value".into(),
            };
        }
        _ => {}
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(own) = inner.downcast_ref::<EvaluateError>() {
            return own.clone();
        }
        if let Some(nested) = inner.downcast_ref::<minijinja::Error>() {
            return evaluate_error(nested, fuel);
        }
        source = inner.source();
    }
    EvaluateError::Failed {
        reason: error.kind().to_string().into(),
    }
}

/// Our error for one of minijinja's at load; what it quotes is the author's own text.
pub(super) fn syntax_error(error: &minijinja::Error, base: usize) -> LanguageError {
    let offset = error.range().map_or(0, |range| range.start);
    let detail = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    LanguageError::new(format!("This is not valid Jinja: {detail}."), base + offset)
}
