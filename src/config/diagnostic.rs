//! Problems found in the files that people write, with the place of each and what to do about it.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};

/// The most problems that one run reports; the rest is only counted, since nobody reads further.
pub const DIAGNOSTICS_MAX: usize = 200;

/// A stretch of a file, and where it begins for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The offset of the first byte in the file.
    pub offset: usize,
    /// The length in bytes.
    pub len: usize,
    /// The line of the first byte, from 1.
    pub line: u32,
    /// The column of the first byte, in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The beginning of a file, for problems that have no better place.
    pub const START: Self = Self {
        offset: 0,
        len: 0,
        line: 1,
        column: 1,
    };
}

/// A stable, searchable name of a kind of problem, such as `unknown-key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiagnosticCode(pub &'static str);

impl fmt::Display for DiagnosticCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Whether a problem keeps the gateway from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file can be used, and probably does not do what was meant.
    Warning,
}

impl Severity {
    /// The word that the plain rendering shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The kind of problem.
    pub code: DiagnosticCode,
    /// Whether the gateway can start in spite of it.
    pub severity: Severity,
    /// What is wrong, in full sentences.
    pub message: String,
    /// The file, as the reader named it.
    pub file: Arc<str>,
    /// Where in the file.
    pub place: Place,
    /// What to do about it, in full sentences.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Makes an error without a hint.
    pub fn error(
        code: &'static str,
        file: &Arc<str>,
        place: Place,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: DiagnosticCode(code),
            severity: Severity::Error,
            message: message.into(),
            file: Arc::clone(file),
            place,
            hint: None,
        }
    }

    /// Makes a warning without a hint.
    pub fn warning(
        code: &'static str,
        file: &Arc<str>,
        place: Place,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, file, place, message)
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Every problem of a run, bounded, with the text of the files they are in.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    omitted: usize,
    omitted_errors: usize,
    sources: BTreeMap<Arc<str>, Arc<str>>,
}

impl Diagnostics {
    /// Makes an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a file's text as written, from which the terminal rendering takes its snippets.
    pub fn add_source(&mut self, file: &Arc<str>, text: &str) {
        self.sources.insert(Arc::clone(file), Arc::from(text));
    }

    /// Adds a problem, or counts it when there are too many or it is there already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.items.contains(&diagnostic) {
            return;
        }
        if self.items.len() < DIAGNOSTICS_MAX {
            self.items.push(diagnostic);
            return;
        }
        self.omitted = self.omitted.saturating_add(1);
        if diagnostic.severity == Severity::Error {
            self.omitted_errors = self.omitted_errors.saturating_add(1);
        }
    }

    /// Takes over the problems and the sources of another collection.
    pub fn extend(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.omitted = self.omitted.saturating_add(other.omitted);
        self.omitted_errors = self.omitted_errors.saturating_add(other.omitted_errors);
        for diagnostic in other.items {
            self.push(diagnostic);
        }
    }

    /// The problems by file, line and column.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut items: Vec<&Diagnostic> = self.items.iter().collect();
        items.sort_by(|a, b| {
            let left = (&a.file, a.place.line, a.place.column, a.code);
            left.cmp(&(&b.file, b.place.line, b.place.column, b.code))
        });
        items
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many problems are kept, without those only counted.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many problems were counted and not kept.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Whether one of them keeps the gateway from starting.
    pub fn has_errors(&self) -> bool {
        self.omitted_errors > 0
            || self
                .items
                .iter()
                .any(|item| item.severity == Severity::Error)
    }

    /// Renders one problem a line without colour, for editors, logs and snapshots.
    pub fn render_plain(&self) -> String {
        let mut out = String::new();
        for item in self.sorted() {
            let Place { line, column, .. } = item.place;
            let severity = item.severity.as_str();
            // Writing to a String can't fail.
            let _ = writeln!(
                out,
                "{}:{line}:{column}: {severity}[{}]: {}",
                item.file, item.code, item.message
            );
            if let Some(hint) = &item.hint {
                let _ = writeln!(out, "  hint: {hint}");
            }
        }
        self.render_omitted(&mut out);
        out
    }

    /// Renders each problem with its lines of the file and a marker, for terminals.
    pub fn render_graphical(&self, colour: bool, width: usize) -> String {
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width)
            .with_links(false);
        let mut out = String::new();
        for item in self.sorted() {
            let report = self.report(item);
            let _ = handler.render_report(&mut out, report.as_ref());
            out.push('\n');
        }
        self.render_omitted(&mut out);
        out
    }

    fn report(&self, item: &Diagnostic) -> Report {
        let severity = match item.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        };
        let mut diagnostic = MietteDiagnostic::new(item.message.clone())
            .with_code(item.code.0)
            .with_severity(severity);
        if let Some(hint) = &item.hint {
            diagnostic = diagnostic.with_help(hint.clone());
        }
        let Some(text) = self.sources.get(&item.file) else {
            diagnostic.message = format!(
                "{}:{}:{}: {}",
                item.file, item.place.line, item.place.column, item.message
            );
            return Report::new(diagnostic);
        };
        let offset = item.place.offset.min(text.len());
        let len = item.place.len.min(text.len().saturating_sub(offset));
        diagnostic = diagnostic.with_label(LabeledSpan::new(Some("here".to_owned()), offset, len));
        Report::new(diagnostic).with_source_code(NamedSource::new(&item.file, text.to_string()))
    }

    fn render_omitted(&self, out: &mut String) {
        if self.omitted > 0 {
            let _ = writeln!(out, "{} more problems are not shown.", self.omitted);
        }
    }
}

/// Finds the candidate that a misspelt word most probably means.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may differ; a shared letter or two is no likeness in short words.
    let allowed = (word.chars().count() / 3).max(1);
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let wanted = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Diagnostics {
        let file: Arc<str> = Arc::from("tributary.yaml");
        let mut diagnostics = Diagnostics::new();
        diagnostics.add_source(&file, "server:\n  lisen: 127.0.0.1:8080\ncache: 5\n");
        let cache = Place {
            offset: 39,
            len: 1,
            line: 3,
            column: 8,
        };
        diagnostics.push(Diagnostic::warning(
            "odd-value",
            &file,
            cache,
            "`cache` is odd.",
        ));
        let listen = Place {
            offset: 10,
            len: 5,
            line: 2,
            column: 3,
        };
        let problem =
            Diagnostic::error("unknown-key", &file, listen, "`server` has no key `lisen`.");
        diagnostics.push(problem.clone().with_hint("Did you mean `listen`?"));
        diagnostics.push(problem.with_hint("Did you mean `listen`?"));
        diagnostics
    }

    #[test]
    fn the_plain_rendering_is_a_line_a_problem_by_place() {
        insta::assert_snapshot!(sample().render_plain(), @r"
        tributary.yaml:2:3: error[unknown-key]: `server` has no key `lisen`.
          hint: Did you mean `listen`?
        tributary.yaml:3:8: warning[odd-value]: `cache` is odd.
        ");
    }

    #[test]
    fn the_terminal_rendering_shows_the_lines_and_a_marker() {
        insta::assert_snapshot!(sample().render_graphical(false, 80), @r"
        unknown-key

          × `server` has no key `lisen`.
           ╭─[tributary.yaml:2:3]
         1 │ server:
         2 │   lisen: 127.0.0.1:8080
           ·   ──┬──
           ·     ╰── here
         3 │ cache: 5
           ╰────
          help: Did you mean `listen`?

        odd-value

          ⚠ `cache` is odd.
           ╭─[tributary.yaml:3:8]
         2 │   lisen: 127.0.0.1:8080
         3 │ cache: 5
           ·        ┬
           ·        ╰── here
           ╰────
        ");
        assert!(sample().render_graphical(true, 80).contains("\u{1b}["));
    }

    #[test]
    fn a_flood_of_problems_is_counted_and_not_kept() {
        let file: Arc<str> = Arc::from("a.yaml");
        let mut diagnostics = Diagnostics::new();
        for line in 1..=203 {
            let place = Place {
                line,
                ..Place::START
            };
            diagnostics.push(Diagnostic::warning("x", &file, place, "X."));
        }
        assert_eq!((diagnostics.len(), diagnostics.omitted()), (200, 3));
        assert!(
            diagnostics
                .render_plain()
                .ends_with("\n3 more problems are not shown.\n")
        );
        assert!(!diagnostics.has_errors());
        diagnostics.push(Diagnostic::error("x", &file, Place::START, "X."));
        assert!(diagnostics.has_errors());
    }

    #[test]
    fn only_a_word_that_is_near_is_offered() {
        let known = ["listen", "body_bytes", "requestTimeout", "id"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("bodyBytes", known), Some("body_bytes"));
        assert_eq!(nearest("request_timeout", known), Some("requestTimeout"));
        assert_eq!(nearest("port", known), None);
        assert_eq!(nearest("xy", known), None);
        assert_eq!(nearest("", known), None);
    }
}
