//! What operators write: the configuration file, and the reader of YAML with good messages that connector files share.

pub mod diagnostic;
mod glob;
pub mod interpolate;
pub mod net;
pub mod rate;
pub mod reference;
pub mod section;
pub mod size;
pub mod span;
pub mod yaml;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::config::interpolate::{Environment, interpolate};
use crate::config::section::auth::AuthSection;
use crate::config::section::cache::CacheSection;
use crate::config::section::callers::CallersSection;
use crate::config::section::cors::CorsSection;
use crate::config::section::documents::DocumentsSection;
use crate::config::section::graphiql::GraphiqlSection;
use crate::config::section::identity::IdentitySection;
use crate::config::section::limits::LimitsSection;
use crate::config::section::log::LogSection;
use crate::config::section::policy::PolicySection;
use crate::config::section::redis::RedisSection;
use crate::config::section::schema::SchemaSection;
use crate::config::section::server::ServerSection;
use crate::config::section::streams::StreamsSection;
use crate::config::section::{Check, error_offsets, is_known};
use crate::config::yaml::{Node, PathSegment, parse, read};

/// The configuration of one gateway, `tributary.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How the gateway listens.
    pub server: ServerSection,
    /// Which web pages of other origins may call.
    pub cors: CorsSection,
    /// What WebSockets and streamed answers may take.
    pub streams: StreamsSection,
    /// The GraphiQL page.
    pub graphiql: GraphiqlSection,
    /// What the graph has beyond the built-in types.
    pub schema: SchemaSection,
    /// The connector files; the last part of a path may have `*` in it.
    pub connectors: Vec<PathBuf>,
    /// Whose tokens are accepted.
    pub auth: AuthSection,
    /// Which records the holders of a role see, and which fields they see masked.
    pub policy: PolicySection,
    /// What each caller may ask, and how often.
    pub callers: CallersSection,
    /// Documents that callers name instead of sending them.
    pub documents: DocumentsSection,
    /// How much is cached and for how long.
    pub cache: CacheSection,
    /// The Redis that replicas share.
    pub redis: RedisSection,
    /// How records of different sources become one customer.
    pub identity: IdentitySection,
    /// How large a query may be and how long it may take.
    pub limits: LimitsSection,
    /// What is logged, and how.
    pub log: LogSection,
    /// Where the parts were written that can be judged only when more is known than this file.
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// Where the parts of a configuration were written that only the graph can judge.
#[derive(Debug, Clone)]
pub struct Origin {
    file: Arc<str>,
    policy: Node,
}

impl Origin {
    /// A problem of the section `policy` with its place; the path begins below the section.
    pub fn of_policy(&self, path: &[PathSegment], message: String) -> Diagnostic {
        Diagnostic::error("policy", &self.file, self.policy.place_at(path), message)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerSection::default(),
            cors: CorsSection::default(),
            streams: StreamsSection::default(),
            graphiql: GraphiqlSection::default(),
            schema: SchemaSection::default(),
            connectors: vec![PathBuf::from("connectors/*.yaml")],
            auth: AuthSection::default(),
            policy: PolicySection::default(),
            callers: CallersSection::default(),
            documents: DocumentsSection::default(),
            cache: CacheSection::default(),
            redis: RedisSection::default(),
            identity: IdentitySection::default(),
            limits: LimitsSection::default(),
            log: LogSection::default(),
            origin: None,
        }
    }
}

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration, its paths resolved and its connector files listed by name.
    pub config: Config,
    /// What is odd and keeps nothing from starting.
    pub warnings: Diagnostics,
}

impl Config {
    /// Reads a configuration file, or tells all that is wrong with it at once; it reads files and the environment given.
    pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Diagnostics> {
        let file: Arc<str> = Arc::from(path.to_string_lossy());
        let mut diagnostics = Diagnostics::new();
        let text = read_text(path, &file, &mut diagnostics);
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let config =
            text.and_then(|text| Self::read(&text, &file, folder, environment, &mut diagnostics));
        match config {
            Some(config) if !diagnostics.has_errors() => Ok(Loaded {
                config,
                warnings: diagnostics,
            }),
            _ => Err(diagnostics),
        }
    }

    /// Reads a configuration from its text, whose paths are relative to the folder.
    pub fn read(
        text: &str,
        file: &Arc<str>,
        folder: &Path,
        environment: &Environment,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut root = parse::parse(text, file, diagnostics)?;
        interpolate(&mut root, file, folder, environment, diagnostics);
        let mut config: Self = read::read(&root, file, diagnostics)?;
        config.validate(&root, file, diagnostics);
        config.resolve(&root, file, folder, diagnostics);
        config.origin = root.at(&["policy".into()]).map(|policy| Origin {
            file: Arc::clone(file),
            policy: policy.clone(),
        });
        Some(config)
    }

    /// Reports values that are of the right type and impossible.
    pub fn validate(&self, root: &Node, file: &Arc<str>, diagnostics: &mut Diagnostics) {
        self.server
            .validate(&mut Check::new(root, file, "server", diagnostics));
        self.cors
            .validate(&mut Check::new(root, file, "cors", diagnostics));
        self.streams
            .validate(&mut Check::new(root, file, "streams", diagnostics));
        self.graphiql
            .validate(&mut Check::new(root, file, "graphiql", diagnostics));
        self.auth
            .validate(&mut Check::new(root, file, "auth", diagnostics));
        self.callers
            .validate(&mut Check::new(root, file, "callers", diagnostics));
        self.documents
            .validate(&mut Check::new(root, file, "documents", diagnostics));
        self.cache
            .validate(&mut Check::new(root, file, "cache", diagnostics));
        self.redis
            .validate(&mut Check::new(root, file, "redis", diagnostics));
        self.identity
            .validate(&mut Check::new(root, file, "identity", diagnostics));
        self.limits
            .validate(&mut Check::new(root, file, "limits", diagnostics));
        self.log
            .validate(&mut Check::new(root, file, "log", diagnostics));
    }

    /// Makes paths relative to the folder, lists connector files and reports files that are absent.
    fn resolve(
        &mut self,
        root: &Node,
        file: &Arc<str>,
        folder: &Path,
        diagnostics: &mut Diagnostics,
    ) {
        let errors = error_offsets(file, diagnostics);
        let mut resolver = Resolver {
            root,
            file,
            folder,
            diagnostics,
            errors,
        };
        self.connectors = resolver.files(&self.connectors, |index| {
            vec!["connectors".into(), index.into()]
        });
        self.documents.trusted = resolver.files(&self.documents.trusted, |index| {
            vec!["documents".into(), "trusted".into(), index.into()]
        });
        for (index, path) in self.schema.extensions.iter_mut().enumerate() {
            resolver.file(path, &["schema".into(), "extensions".into(), index.into()]);
        }
        if let Some(tls) = &mut self.server.tls {
            let files = [
                ("certificate", Some(&mut tls.certificate)),
                ("key", Some(&mut tls.key)),
                ("client_ca", tls.client_ca.as_mut()),
            ];
            for (key, path) in files {
                if let Some(path) = path {
                    resolver.file(path, &["server".into(), "tls".into(), key.into()]);
                }
            }
        }
        if let Some(path) = &mut self.auth.keys_file {
            // The file need not be there yet: `tributary key create` makes it.
            *path = folder.join(&*path);
        }
        for (index, issuer) in self.auth.issuers.iter_mut().enumerate() {
            let files = [
                ("public_key_file", &mut issuer.public_key_file),
                ("jwks_file", &mut issuer.jwks_file),
            ];
            for (key, path) in files {
                if let Some(path) = path {
                    resolver.file(
                        path,
                        &["auth".into(), "issuers".into(), index.into(), key.into()],
                    );
                }
            }
        }
    }
}

/// The JSON Schema of `tributary.yaml`, for editors.
pub fn config_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

fn read_text(path: &Path, file: &Arc<str>, diagnostics: &mut Diagnostics) -> Option<String> {
    // One byte more than allowed, so that the parser sees that it is too much.
    let limit = parse::BYTES_MAX.saturating_add(1) as u64;
    let mut bytes = Vec::new();
    let result = File::open(path).and_then(|open| open.take(limit).read_to_end(&mut bytes));
    if let Err(error) = result {
        let message = format!("The file can't be read: {}.", error.kind());
        diagnostics.push(Diagnostic::error(
            "unreadable-file",
            file,
            Place::START,
            message,
        ));
        return None;
    }
    if bytes.len() > parse::BYTES_MAX {
        let message = format!("The file is larger than {} bytes.", parse::BYTES_MAX);
        diagnostics.push(Diagnostic::error("too-large", file, Place::START, message));
        return None;
    }
    let text = String::from_utf8(bytes);
    if text.is_err() {
        diagnostics.push(Diagnostic::error(
            "yaml-syntax",
            file,
            Place::START,
            "The file is not UTF-8 text.",
        ));
    }
    text.ok()
}

struct Resolver<'a> {
    root: &'a Node,
    file: &'a Arc<str>,
    folder: &'a Path,
    diagnostics: &'a mut Diagnostics,
    errors: Vec<usize>,
}

impl Resolver<'_> {
    fn absent(&mut self, at: &[PathSegment], reason: &str) {
        let message = format!("The file that is named here can't be read: {reason}.");
        let place = self.root.place_at(at);
        let diagnostic = Diagnostic::error("unreadable-file", self.file, place, message);
        self.diagnostics
            .push(diagnostic.with_hint("Its path is relative to the folder of this file."));
    }

    fn file(&mut self, path: &mut PathBuf, at: &[PathSegment]) {
        *path = self.folder.join(&*path);
        if !is_known(self.root, at, &self.errors) {
            return;
        }
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => self.absent(at, "it is not a file"),
            Err(error) => self.absent(at, &error.kind().to_string()),
        }
    }

    /// The files that the patterns name, by name.
    fn files(
        &mut self,
        patterns: &[PathBuf],
        place: impl Fn(usize) -> Vec<PathSegment>,
    ) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let at = place(index);
            if !glob::is_pattern(pattern) {
                let mut path = pattern.clone();
                self.file(&mut path, &at);
                files.push(path);
                continue;
            }
            match glob::expand(&self.folder.join(pattern)) {
                Ok(found) if found.is_empty() => self.no_match(&at),
                Ok(found) => files.extend(found),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.no_match(&at),
                Err(error) => self.absent(&at, &error.kind().to_string()),
            }
        }
        files.sort();
        files.dedup();
        files
    }

    fn no_match(&mut self, at: &[PathSegment]) {
        let place = self.root.place_at(at);
        let is_connector = at.first() == Some(&PathSegment::from("connectors"));
        let (code, message) = if is_connector {
            (
                "no-connectors",
                "No connector file is found here, so that this part of the graph stays empty.",
            )
        } else {
            (
                "no-documents",
                "No trusted document is found here, so that none of them can be run.",
            )
        };
        self.diagnostics
            .push(Diagnostic::warning(code, self.file, place, message));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// A folder of its own that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir()
                .join(format!("tributary-config-{name}-{}", std::process::id()));
            std::fs::create_dir_all(path.join("connectors")).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn none() -> Environment {
        Environment::of([("NONE", "")])
    }

    #[track_caller]
    fn problems(text: &str, environment: &Environment) -> String {
        let file = Arc::from("tributary.yaml");
        let mut diagnostics = Diagnostics::new();
        let text = format!("connectors: []\n{text}");
        Config::read(
            &text,
            &file,
            Path::new("/nonexistent"),
            environment,
            &mut diagnostics,
        );
        diagnostics.render_plain()
    }

    #[test]
    fn an_empty_file_is_the_default_configuration() {
        let folder = Folder::new("empty");
        let loaded = Config::load(
            &folder.write("tributary.yaml", "# nothing\nserver:\n"),
            &none(),
        )
        .unwrap();
        let expected = Config {
            connectors: Vec::new(),
            ..Config::default()
        };
        assert_eq!(format!("{:?}", loaded.config), format!("{expected:?}"));
        let warning = loaded.warnings.render_plain();
        assert!(warning.contains("warning[no-connectors]"), "{warning}");
    }

    #[test]
    fn connector_files_are_listed_by_name_and_relative_to_the_file() {
        let folder = Folder::new("globs");
        for name in [
            "connectors/b.yaml",
            "connectors/a.yaml",
            "connectors/.hidden.yaml",
            "connectors/a.txt",
            "c.yaml",
        ] {
            folder.write(name, "");
        }
        let text = "connectors: [connectors/*.yaml, c.yaml, connectors/a.yaml]";
        let config = Config::load(&folder.write("tributary.yaml", text), &none())
            .unwrap()
            .config;
        let expected =
            ["c.yaml", "connectors/a.yaml", "connectors/b.yaml"].map(|name| folder.0.join(name));
        assert_eq!(config.connectors, expected);
    }

    #[test]
    fn every_problem_of_a_configuration_is_told_at_once() {
        let text = "\
server: { listen: nowhere, drain: 2d, bodybytes: 1KiB }
graphiql: { examples: [{ query: '' }, { variables: {} }] }
schema: { extensions: [absent.graphql] }
auth:
  leeway: 1h
  issuers:
    - { issuer: a, audiences: [b], algorithms: [HS256], secret: short }
    - { issuer: a, audiences: [], algorithms: [HS256], jwks_url: http://a.example/ }
cache: { memory: 1B }
redis: { url: 'http://${PASSWORD}@a.example', prefix: a b }
identity: { anchors: [crm, crm], role_addresses: [a@b], blocked_addresses: [a] }
limits: { depth: 51, page_size_max: 0 }
log: { format: xml, filter: 'a=b=c' }
";
        let found = problems(text, &Environment::of([("PASSWORD", "hunter2")]));
        assert!(!found.contains("hunter2"));
        insta::assert_snapshot!(found, @r"
        tributary.yaml:2:19: error[invalid-value]: `server.listen` is not valid: invalid socket address syntax.
        tributary.yaml:2:35: error[invalid-value]: `drain` must be between 0ms and 10m.
        tributary.yaml:2:39: error[unknown-key]: `server` has no key `bodybytes`.
          hint: Did you mean `body_bytes`?
        tributary.yaml:3:41: error[missing-key]: `graphiql.examples[1]` lacks the key `query`.
        tributary.yaml:4:24: error[unreadable-file]: The file that is named here can't be read: entity not found.
          hint: Its path is relative to the folder of this file.
        tributary.yaml:6:11: error[invalid-value]: `leeway` must be between 0ms and 5m.
        tributary.yaml:8:65: error[invalid-value]: `secret` must have at least 32 bytes.
        tributary.yaml:9:17: error[invalid-value]: This `issuer` is here twice, and an issuer has one set of keys.
        tributary.yaml:9:20: error[invalid-value]: `audiences` must name at least one audience, and none of them empty.
        tributary.yaml:9:35: error[invalid-value]: HS256 goes with `secret`, and all other algorithms go with public keys.
        tributary.yaml:9:66: error[invalid-value]: `jwks_url` must be an https URL without credentials; http is for this machine only.
        tributary.yaml:10:18: error[invalid-value]: `memory` must be between 1MiB and 64GiB.
        tributary.yaml:11:15: error[invalid-value]: `url` must be an address such as `redis://127.0.0.1:6379/0`.
        tributary.yaml:11:55: error[invalid-value]: `prefix` must have 1 to 64 letters, digits, hyphens, underscores or full stops.
        tributary.yaml:12:28: error[invalid-value]: This source is in the list twice.
        tributary.yaml:12:51: error[invalid-value]: A role address is written without `@` and what follows it, as in `info`.
        tributary.yaml:12:77: error[invalid-value]: A blocked address is a whole e-mail address, as in `guest@shop.example`.
        tributary.yaml:13:18: error[invalid-value]: `depth` must be between 1 and 50.
        tributary.yaml:13:37: error[invalid-value]: `page_size_max` must be between 1 and 1000.
        tributary.yaml:14:16: error[unknown-value]: `log.format` does not know the value `xml`.
          hint: The values here are: `text`, `json`.
        tributary.yaml:14:29: error[invalid-value]: `filter` must be a level or a list such as `info,tributary::transport=debug`.
        ");
    }

    #[test]
    fn a_value_that_is_refused_causes_no_second_message_about_the_rest() {
        let text = "auth: { issuers: [{ issuer: a, audiences: [b], algorithms: [RS257], jwks_url: 'https://a.example/' }] }";
        insta::assert_snapshot!(problems(text, &none()), @r"
        tributary.yaml:2:61: error[unknown-value]: `auth.issuers[0].algorithms[0]` does not know the value `RS257`.
          hint: Did you mean `RS256`?
        ");
    }

    #[test]
    fn a_check_without_secrets_warns_of_what_is_unset_and_nothing_else() {
        let text = "\
server: { listen: '${LISTEN}', drain: '${DRAIN}' }
redis: { url: '${REDIS}' }
auth: { issuers: [{ issuer: a, audiences: [b], algorithms: [HS256], secret: '${SECRET}' }] }
schema: { extensions: ['${PATH_TO}'] }
";
        let found = problems(text, &none().lenient());
        assert!(
            found
                .lines()
                .all(|line| line.contains("warning[unset-variable]") || line.starts_with("  hint")),
            "{found}"
        );
    }

    #[test]
    fn a_file_that_is_absent_or_too_large_is_told() {
        let folder = Folder::new("absent");
        let found = Config::load(&folder.0.join("none.yaml"), &none())
            .unwrap_err()
            .render_plain();
        assert!(found.ends_with(
            "none.yaml:1:1: error[unreadable-file]: The file can't be read: entity not found.\n"
        ));
        let large = folder.write("large.yaml", &" ".repeat(parse::BYTES_MAX + 1));
        assert!(
            Config::load(&large, &none())
                .unwrap_err()
                .render_plain()
                .contains("error[too-large]")
        );
    }

    #[test]
    fn a_secret_of_digits_or_of_a_word_of_yaml_is_a_secret() {
        let file = Arc::from("tributary.yaml");
        for secret in [
            "0123456789012345678901234567890123",
            "1e5",
            "true",
            "null",
            "-7",
        ] {
            let environment = Environment::of([("TOKEN", secret)]);
            let mut diagnostics = Diagnostics::new();
            let quoted = "connectors: []\ngraphiql: { token: '${TOKEN}' }\n";
            let plain = "connectors: []\ngraphiql:\n  token: ${TOKEN}\n";
            for text in [quoted, plain] {
                let config =
                    Config::read(text, &file, Path::new(""), &environment, &mut diagnostics);
                assert!(diagnostics.is_empty(), "{}", diagnostics.render_plain());
                assert_eq!(config.unwrap().graphiql.token.unwrap().expose(), secret);
            }
        }
    }

    #[test]
    fn the_schema_for_editors_knows_every_section_and_refuses_others() {
        let schema = config_schema();
        assert_eq!(
            schema.pointer("/additionalProperties"),
            Some(&serde_json::Value::Bool(false))
        );
        assert_eq!(
            schema
                .pointer("/properties")
                .unwrap()
                .as_object()
                .unwrap()
                .len(),
            15
        );
    }
}
