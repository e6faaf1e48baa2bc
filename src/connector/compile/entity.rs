//! Compiles how the records of one entity are made: id, fields, links, identifiers, custom values and rules.

use std::sync::Arc;

use crate::connector::compile::graph;
use crate::connector::compile::mapping::Surroundings;
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::convert::Leaf;
use crate::connector::identifier::IdentifierMap;
use crate::connector::language::expression::Expression;
use crate::connector::map::{CustomMap, LinkMap, RecordMap, UrlMap, UrlPart};
use crate::connector::spec::{CustomSpec, EntitySpec, IdentifierSpec, IdentifiersSpec, LinkSpec};
use crate::protocol::tree::Tree;
use crate::record::IdentifierKind;
use crate::schema::{ObjectDef, TypeDef};

/// A link whose keys belong to another source: its name and that source.
pub(crate) type ForeignLink = (Arc<str>, Arc<str>);

impl Surroundings<'_> {
    /// Compiles an entity; `report` looks at it.
    pub(crate) fn entity(
        &self,
        report: &mut Report<'_>,
        source: &Arc<str>,
        ty: (&TypeDef, &ObjectDef),
        spec: &EntitySpec,
    ) -> Option<(RecordMap, Vec<ForeignLink>)> {
        let (def, object) = ty;
        let id = report.at("id", |report| report.expression(&spec.id, self.language));
        let remote_type = match &spec.remote_type {
            Some(name) => {
                if name.trim().is_empty() || name.chars().any(char::is_control) {
                    report.at("type", |report| {
                        report.error("wrong-value", "`type` is a name of at least one letter.");
                    });
                }
                name.clone()
            }
            None => def.name.to_lowercase(),
        };
        let written: Vec<(Box<str>, Tree)> = spec
            .fields
            .iter()
            .map(|(name, mapping)| (name.as_str().into(), mapping.0.0.clone()))
            .collect();
        let fields = report.at("fields", |report| self.object(report, ty, &written, 0));
        let (links, foreign) = report.at("links", |report| self.links(report, &def.name, spec));
        let identifiers = report.at("identifiers", |report| {
            self.identifiers(report, &def.name, &spec.identifiers)
        });
        let slot = |name: &str| object.field(name).map(|field| field.slot);
        let map = RecordMap {
            source: source.clone(),
            entity: def.name.clone(),
            remote_type: remote_type.into(),
            url: report.at("url", |report| self.url(report, spec.url.as_deref()?)),
            deleted: report.optional("deleted", spec.deleted.as_ref(), self.language),
            object: fields,
            links,
            custom: report.at("custom", |report| self.custom(report, spec)),
            identifiers,
            rules: report.at("rules", |report| self.rules(report, object, &spec.rules)),
            times: (slot("createdAt"), slot("updatedAt")),
            id: id?,
        };
        Some((map, foreign))
    }

    /// An address with `{{ expression }}` in it.
    fn url(&self, report: &mut Report<'_>, text: &str) -> Option<UrlMap> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut at = 0;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inside, behind)) = after.split_once("}}") else {
                let offset = at + before.len();
                report.text_error("expression", offset, "This `{{` is never closed.", None);
                return None;
            };
            if !before.is_empty() {
                parts.push(UrlPart::Literal(before.into()));
            }
            let offset = at + before.len() + 2;
            match Expression::compile(inside, self.language) {
                Ok(expression) => parts.push(UrlPart::Value(expression)),
                Err(mut error) => {
                    error.offset += offset;
                    report.language("expression", error);
                    return None;
                }
            }
            at = offset + inside.len() + 2;
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(UrlPart::Literal(rest.into()));
        }
        if rest.contains("{%") || rest.contains("{#") {
            report.error(
                "expression",
                "Only `{{ expression }}` can stand in this address.",
            );
        }
        Some(UrlMap(parts))
    }

    fn custom(&self, report: &mut Report<'_>, spec: &EntitySpec) -> Vec<CustomMap> {
        let mut maps = Vec::new();
        for (key, CustomSpec { from, kind, label }) in &spec.custom {
            report.at(key.as_str(), |report| {
                let from = report.at("from", |report| report.expression(from, self.language));
                let kinds = self
                    .catalog
                    .enum_values("CustomFieldType")
                    .unwrap_or_default();
                let Some(known) = kinds.iter().find(|known| *known.name == **kind) else {
                    let message = format!("`{kind}` is not a type of custom fields.");
                    let hint = did_you_mean(kind, kinds.iter().map(|kind| &*kind.name));
                    report.at("type", |report| {
                        report.error_with("unknown-enum-value", message, hint);
                    });
                    return;
                };
                maps.extend(from.map(|from| CustomMap {
                    key: key.as_str().into(),
                    label: label.as_deref().map(Into::into),
                    leaf: self.custom_leaf(kind),
                    kind: known.name.clone(),
                    is_list: kind == "MULTI_SELECT",
                    from,
                }));
            });
        }
        maps
    }

    fn custom_leaf(&self, kind: &str) -> Leaf {
        let name = match kind {
            "INTEGER" => "BigInt",
            "DECIMAL" => "Decimal",
            "BOOLEAN" => "Boolean",
            "DATE" => "Date",
            "DATETIME" => "DateTime",
            "URL" => "URL",
            "MONEY" | "JSON" => "JSON",
            "REFERENCE" => "ID",
            "TEXT" | "LONG_TEXT" => "String",
            _ => return Leaf::Trimmed,
        };
        self.leaf(name).unwrap_or(Leaf::Trimmed)
    }

    fn links(
        &self,
        report: &mut Report<'_>,
        entity: &str,
        spec: &EntitySpec,
    ) -> (Vec<LinkMap>, Vec<ForeignLink>) {
        let known = graph::links(self.catalog, entity);
        let (mut links, mut foreign) = (Vec::new(), Vec::new());
        for (name, link) in &spec.links {
            report.at(name.as_str(), |report| {
                let Some(name) = known.iter().find(|known| ***known == **name) else {
                    let message = format!("`{entity}` has no relation `{name}`.");
                    let hint = did_you_mean(name, known.iter().map(|name| &**name));
                    report.name_error("unknown-link", message, hint);
                    return;
                };
                let from = match link {
                    LinkSpec::Expression(text) => report.expression(text, self.language),
                    LinkSpec::Long(long) => {
                        if let Some(source) = &long.source {
                            foreign.push((name.clone(), source.as_str().into()));
                        }
                        report.at("from", |report| {
                            report.expression(&long.from, self.language)
                        })
                    }
                };
                links.extend(from.map(|from| LinkMap {
                    name: name.clone(),
                    from,
                }));
            });
        }
        (links, foreign)
    }

    fn identifiers(
        &self,
        report: &mut Report<'_>,
        entity: &str,
        spec: &IdentifiersSpec,
    ) -> Vec<IdentifierMap> {
        let mut maps = Vec::new();
        if entity != "Customer" {
            if spec.email.is_some() || !spec.external_id.is_empty() {
                let message = format!("Only a `Customer` has identifiers, and this is `{entity}`.");
                report.name_error("not-mappable", message, None);
            }
            return maps;
        }
        if let Some(email) = &spec.email {
            let map = report.at("email", |report| {
                self.identifier(report, IdentifierKind::Email, None, email)
            });
            maps.extend(map);
        }
        report.at("externalId", |report| {
            for (namespace, one) in &spec.external_id {
                let map = report.at(namespace.as_str(), |report| {
                    let kind = IdentifierKind::ExternalId;
                    self.identifier(report, kind, Some(namespace.as_str().into()), one)
                });
                maps.extend(map);
            }
        });
        maps
    }

    fn identifier(
        &self,
        report: &mut Report<'_>,
        kind: IdentifierKind,
        namespace: Option<Arc<str>>,
        spec: &IdentifierSpec,
    ) -> Option<IdentifierMap> {
        let (from, verified, trust) = match spec {
            IdentifierSpec::Expression(text) => {
                (report.expression(text, self.language)?, None, None)
            }
            IdentifierSpec::Long(long) => {
                let from = report.at("from", |report| {
                    report.expression(&long.from, self.language)
                });
                let verified = report.optional("verified", long.verified.as_ref(), self.language);
                (from?, verified, long.trust)
            }
        };
        Some(IdentifierMap {
            kind,
            namespace,
            from,
            verified,
            trust,
        })
    }
}
