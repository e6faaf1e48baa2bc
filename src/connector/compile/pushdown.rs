//! Compiles what an operation leaves to the vendor: filters and orders.

use std::cell::RefCell;
use std::sync::Arc;

use crate::connector::compile::call::Names;
use crate::connector::compile::graph;
use crate::connector::compile::mapping::Surroundings;
use crate::connector::compile::operation::Of;
use crate::connector::compile::report::{Report, did_you_mean};
use crate::connector::operation::{FilterPlan, SortPlan};
use crate::connector::spec::{
    DirectionSpec, FilterSpec, OperationSpec, PlacementSpec, Protocol, SortedSpec,
};
use crate::schema::{InputDef, Matches};

impl Surroundings<'_> {
    /// The filters that the source evaluates itself.
    pub(crate) fn filters(
        &self,
        report: &mut Report<'_>,
        of: &Of<'_>,
        spec: &OperationSpec,
        protocol: Protocol,
    ) -> Vec<FilterPlan> {
        let entity = &of.map.entity;
        let known = graph::filters(self.catalog, entity);
        let mut plans = Vec::new();
        report.at("filters", |report| {
            for (name, filter) in &spec.filters {
                report.at(name.as_str(), |report| {
                    let Some(input) = known.iter().find(|input| *input.name == **name) else {
                        let message = format!("`{entity}` has no filter `{name}`.");
                        let hint = did_you_mean(name, known.iter().map(|input| &*input.name));
                        report.name_error("unknown-filter", message, hint);
                        return;
                    };
                    if input.matches == Some(Matches::Source) {
                        let message = "The gateway itself chooses the sources.";
                        report.name_error("unknown-filter", message, None);
                        return;
                    }
                    plans.push(self.filter(report, of, (input, filter), protocol));
                });
            }
        });
        plans
    }

    fn filter(
        &self,
        report: &mut Report<'_>,
        of: &Of<'_>,
        named: (&InputDef, &FilterSpec),
        protocol: Protocol,
    ) -> FilterPlan {
        let (input, spec) = named;
        let placement = PlacementSpec {
            query: spec.query.clone(),
            body: spec.body.clone(),
            variables: spec.variables.clone(),
            value: spec.value.clone(),
        };
        let used = RefCell::new(Vec::new());
        let allowed = Names::only(&["value", "raw", "source"]);
        let placement = self.placement(report, protocol, &placement, (&allowed, &used));
        let reads_raw = used.borrow().iter().any(|name| name == "raw");
        let inverse = match (&input.matches, reads_raw) {
            (Some(Matches::Field(field)), true) => of.inverses.get(field),
            _ => None,
        };
        if reads_raw && inverse.is_none() {
            let message = format!(
                "`raw` needs a table `as` of the field that `{}` compares, and there is none.",
                input.name
            );
            let hint = "Map that field with `{ from: …, as: { … } }`, or use `value`.";
            report.name_error("missing-table", message, Some(hint.to_owned()));
        }
        FilterPlan {
            name: input.name.clone(),
            placement,
            single: spec.single,
            inverse: inverse.cloned(),
        }
    }

    /// The orders that the source can answer in.
    pub(crate) fn sorts(
        &self,
        report: &mut Report<'_>,
        entity: &str,
        spec: &OperationSpec,
        protocol: Protocol,
    ) -> Vec<SortPlan> {
        let known = graph::sorts(self.catalog, entity);
        let mut plans = Vec::new();
        report.at("sort", |report| {
            for (name, directions) in &spec.sort {
                report.at(name.as_str(), |report| {
                    let Some(order) = known.iter().find(|order| *order.name == **name) else {
                        let message = format!("`{entity}` can't be sorted by `{name}`.");
                        let hint = did_you_mean(name, known.iter().map(|order| &*order.name));
                        report.name_error("unknown-sort", message, hint);
                        return;
                    };
                    let both = [
                        ("asc", false, &directions.asc),
                        ("desc", true, &directions.desc),
                    ];
                    for (key, descending, placement) in both {
                        let Some(placement) = placement else {
                            continue;
                        };
                        let allowed = Names::only(&["field", "direction", "source"]);
                        let used = RefCell::new(Vec::new());
                        let placement = report.at(key, |report| {
                            self.placement(report, protocol, placement, (&allowed, &used))
                        });
                        plans.push(SortPlan {
                            name: order.name.clone(),
                            descending,
                            placement,
                        });
                    }
                });
            }
        });
        plans
    }

    /// The order that the source answers in by itself, by its name in the graph.
    pub(crate) fn sorted(
        &self,
        report: &mut Report<'_>,
        of: &Of<'_>,
        sorted: &SortedSpec,
    ) -> Option<(Arc<str>, bool)> {
        let entity = &of.map.entity;
        let known = graph::sorts(self.catalog, entity);
        let by = |order: &&crate::schema::EnumValue| {
            order.sorts_by.as_deref() == Some(sorted.field.as_str())
        };
        match known.iter().find(by) {
            Some(order) => Some((order.name.clone(), sorted.direction == DirectionSpec::Desc)),
            None => {
                let message = format!(
                    "`{entity}` can't be sorted by the field `{}`.",
                    sorted.field
                );
                let fields = known.iter().filter_map(|order| order.sorts_by.as_deref());
                let hint = did_you_mean(&sorted.field, fields).or_else(|| {
                    let has = of.object.field(&sorted.field).is_some();
                    has.then(|| "No order of the graph compares this field.".to_owned())
                });
                report.at("field", |report| {
                    report.error_with("unknown-sort", message, hint)
                });
                None
            }
        }
    }
}
