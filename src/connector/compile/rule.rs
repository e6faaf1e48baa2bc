//! Compiles the rules of an entity: which fields they look at, and whether their tests fit those fields.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::connector::compile::mapping::Surroundings;
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::rule::{Bound, Breach, Rule, RuleField, Test, day, number, time};
use crate::connector::spec::{BreachSpec, RuleSpec};
use crate::connector::written::Written;
use crate::protocol::tree::Tree;
use crate::schema::{FieldDef, Fill, ObjectDef, TypeKind};

/// The largest compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What the values of a field can be compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Number,
    Time,
    Day,
    Text,
    /// Money, by its amount.
    Money(usize),
    /// What has no text of its own.
    Other,
}

/// A field that a rule looks at.
struct Target<'c> {
    field: RuleField,
    def: &'c FieldDef,
    nature: Nature,
}

impl Surroundings<'_> {
    /// Compiles the rules; `report` looks at them.
    pub(crate) fn rules(
        &self,
        report: &mut Report<'_>,
        object: &ObjectDef,
        rules: &[RuleSpec],
    ) -> Vec<Rule> {
        let mut compiled = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            compiled.extend(report.at(index, |report| self.rule(report, object, rule)));
        }
        compiled
    }

    fn rule(&self, report: &mut Report<'_>, object: &ObjectDef, spec: &RuleSpec) -> Option<Rule> {
        let check = report.optional("check", spec.check.as_ref(), self.language);
        let target = match &spec.field {
            Some(name) => Some(report.at("field", |report| self.target(report, object, name))?),
            None => None,
        };
        let tests = match &target {
            Some(target) => tests(report, target.nature, spec),
            None => Vec::new(),
        };
        let has_tests = spec.required
            || spec.pattern.is_some()
            || spec.min.is_some()
            || spec.max.is_some()
            || spec.min_length.is_some()
            || spec.max_length.is_some()
            || spec.one_of.is_some();
        if has_tests && target.is_none() {
            let hint = "Write `field: NAME` beside it.".to_owned();
            report.error_with(
                "wrong-rule",
                "The rule does not say which field it is for.",
                Some(hint),
            );
        }
        if !has_tests && spec.check.is_none() {
            let hint = "Write `check`, or `field` with `required`, `pattern`, `min`, `max`, `min_length`, `max_length` or `one_of`.";
            report.error_with(
                "wrong-rule",
                "The rule asks for nothing.",
                Some(hint.to_owned()),
            );
        }
        check_breach(report, spec, target.as_ref());
        Some(Rule {
            check,
            field: target.map(|target| target.field),
            tests,
            message: spec.message.clone(),
            breach: match spec.fails {
                BreachSpec::Refuse => Breach::Refuse,
                BreachSpec::NullField => Breach::Null,
                BreachSpec::Warn => Breach::Warn,
            },
        })
    }

    /// The field of that dotted name.
    fn target(
        &self,
        report: &mut Report<'_>,
        object: &ObjectDef,
        name: &str,
    ) -> Option<Target<'_>> {
        let catalog = self.catalog;
        let mut slots = Vec::new();
        let mut path = name.split('.').peekable();
        // The first object is borrowed from the catalog as well, so that all parts live as long.
        let mut inside = catalog.types().iter().find_map(|def| match &def.kind {
            TypeKind::Object(known) if std::ptr::eq(known, object) => Some(known),
            _ => None,
        })?;
        while let Some(part) = path.next() {
            let known = |field: &&FieldDef| matches!(field.fill, Fill::Mapped | Fill::Derived);
            let Some(def) = inside.field(part).filter(known) else {
                let names = inside.fields.iter().filter(known).map(|field| &*field.name);
                let message = format!("There is no mapped field `{part}` here.");
                report.error_with("unknown-field", message, did_you_mean(part, names));
                return None;
            };
            slots.push(def.slot);
            let nested = catalog.object(&def.ty.name).map(|(_, nested)| nested);
            if path.peek().is_none() {
                let nature = nature(&def.ty.name, nested);
                let amount = match nature {
                    Nature::Money(slot) => Some(slot),
                    _ => None,
                };
                let field = RuleField {
                    name: Arc::from(name),
                    slots,
                    amount,
                };
                return Some(Target { field, def, nature });
            }
            let Some(nested) = nested else {
                report.error(
                    "unknown-field",
                    format!("`{part}` has no fields of its own."),
                );
                return None;
            };
            inside = nested;
        }
        None
    }
}

fn nature(name: &str, nested: Option<&ObjectDef>) -> Nature {
    match (name, nested) {
        ("Decimal" | "BigInt" | "Int" | "Float", _) => Nature::Number,
        ("DateTime", _) => Nature::Time,
        ("Date", _) => Nature::Day,
        ("Boolean" | "JSON", _) => Nature::Other,
        ("Money", Some(money)) => money
            .field("amount")
            .map_or(Nature::Other, |amount| Nature::Money(amount.slot)),
        (_, Some(_)) => Nature::Other,
        (_, None) => Nature::Text,
    }
}

/// A field that must not be null can't be made so.
fn check_breach(report: &mut Report<'_>, spec: &RuleSpec, target: Option<&Target<'_>>) {
    if spec.fails != BreachSpec::NullField {
        return;
    }
    let message = match target {
        None => "`fails: null_field` needs the field that becomes null.".to_owned(),
        Some(target) if spec.required => {
            let name = &target.field.name;
            format!("`{name}` is required, and being null is what breaks that.")
        }
        Some(target) if target.def.ty.non_null && target.def.ty.list.is_none() => {
            format!("`{}` can't be null in the graph.", target.field.name)
        }
        Some(_) => return,
    };
    let hint = "Write `fails: refuse` or `fails: warn`.".to_owned();
    report.at("fails", |report| {
        report.error_with("wrong-rule", message, Some(hint));
    });
}

fn tests(report: &mut Report<'_>, nature: Nature, spec: &RuleSpec) -> Vec<Test> {
    let mut tests = Vec::new();
    if spec.required {
        tests.push(Test::Required);
    }
    let is_text = nature == Nature::Text;
    for (key, is_there) in [
        ("pattern", spec.pattern.is_some()),
        ("min_length", spec.min_length.is_some()),
        ("max_length", spec.max_length.is_some()),
    ] {
        if is_there && !is_text {
            let message = format!("`{key}` is for fields of text.");
            report.at(key, |report| report.name_error("wrong-rule", message, None));
        }
    }
    if let Some(text) = &spec.pattern {
        match pattern(text) {
            Ok(pattern) => tests.push(Test::Pattern(pattern)),
            Err(error) => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ");
                let message = format!("This is no regular expression: {reason}.");
                report.at("pattern", |report| report.error("wrong-rule", message));
            }
        }
    }
    let bound = |report: &mut Report<'_>, key: &'static str, value: &Option<Written>| {
        let value = value.as_ref()?;
        report.at(key, |report| bound(report, nature, key, value))
    };
    let (least, most) = (
        bound(report, "min", &spec.min),
        bound(report, "max", &spec.max),
    );
    if let (Some(least), Some(most)) = (&least, &most)
        && !is_ordered(least, most)
    {
        let message = "`min` is more than `max`, so every value breaks the rule.";
        report.at("min", |report| report.error("wrong-rule", message));
    }
    tests.extend(least.map(Test::Least));
    tests.extend(most.map(Test::Most));
    tests.extend(spec.min_length.map(Test::LengthLeast));
    tests.extend(spec.max_length.map(Test::LengthMost));
    tests.extend(one_of(report, nature, spec));
    tests
}

/// The whole text must match: a pattern that only occurs in it says less than it seems to. What is written is compiled alone
/// first, so that it can neither close the group around it nor be told wrong in other words than its own.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    Regex::new(text)?;
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
}

fn one_of(report: &mut Report<'_>, nature: Nature, spec: &RuleSpec) -> Option<Test> {
    let values = spec.one_of.as_ref()?;
    report.at("one_of", |report| {
        if values.is_empty() || matches!(nature, Nature::Other | Nature::Money(_)) {
            let message =
                "`one_of` is a list of at least one value, for a field that has one value.";
            report.error("wrong-rule", message);
            return None;
        }
        let texts = values
            .iter()
            .map(|value| value.0.as_text().map(|text| text.as_ref().into()));
        let texts: Option<Vec<Box<str>>> = texts.collect();
        if texts.is_none() {
            report.error("wrong-rule", "`one_of` lists single values.");
        }
        texts.map(Test::OneOf)
    })
}

fn bound(report: &mut Report<'_>, nature: Nature, key: &str, value: &Written) -> Option<Bound> {
    let text = match &value.0 {
        Tree::Number(text) | Tree::Text(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    let (bound, kind) = match nature {
        Nature::Number | Nature::Money(_) => (number(&text).map(Bound::Number), "a number"),
        Nature::Time => (
            time(&text).map(Bound::Time),
            "a time such as `2020-01-31T00:00:00Z`",
        ),
        Nature::Day => (day(&text).map(Bound::Day), "a day such as `2020-01-31`"),
        Nature::Text | Nature::Other => {
            let message =
                format!("`{key}` is for fields that are a number, a time, a day or money.");
            let hint = (nature == Nature::Text)
                .then(|| format!("For the length of a text, write `{key}_length`."));
            report.name_error("wrong-rule", message, hint);
            return None;
        }
    };
    if bound.is_none() {
        report.error("wrong-rule", format!("`{key}` is {kind} here."));
    }
    bound
}

fn is_ordered(least: &Bound, most: &Bound) -> bool {
    match (least, most) {
        (Bound::Number(least), Bound::Number(most)) => least <= most,
        (Bound::Time(least), Bound::Time(most)) => least <= most,
        (Bound::Day(least), Bound::Day(most)) => least <= most,
        _ => true,
    }
}
