//! Everything that relations of customers hold, as the caller may see it: what sums and histories are made from.

use std::sync::Arc;

use crate::record::Reading;
use crate::record::value::Object;
use crate::resolve::condition::Condition;
use crate::resolve::item::Item;
use crate::resolve::relation::{self, Held};
use crate::resolve::{FieldError, Run, identity};
use crate::schema::Fill;

/// What a relation of each customer holds, from the sources that the conditions let in; nothing where the caller may not
/// see the relation.
pub async fn held(
    run: &Run,
    name: &str,
    parents: &[Item],
    conditions: &[Condition],
) -> Result<Vec<Option<Held>>, FieldError> {
    let found = run.catalog().object(identity::CUSTOMER);
    let field = found
        .and_then(|(def, object)| Some((def, object.field(name)?)))
        .filter(|(def, field)| run.view.refusal(def.id, field.slot).is_none())
        .map(|(_, field)| field);
    let target = field.and_then(|field| relation::node_type(run, &field.ty.name));
    match (field.map(|field| (field, &field.fill)), target) {
        (Some((field, Fill::By(link))), Some((target, _))) if run.view.may_see_type(target.id) => {
            relation::held(run, (field, link), parents, conditions).await
        }
        _ => Ok(parents.iter().map(|_| None).collect()),
    }
}

/// The records' values as the caller may see them: what is denied or masked enters nothing that is made from them.
pub fn seen<'h>(
    run: &'h Run,
    held: &'h Held,
) -> impl Iterator<Item = (&'h Reading, Arc<Object>)> + use<'h> {
    held.rows.iter().map(|row| {
        let data = run.view.shape(run.catalog(), &row.reading.record.data);
        (&row.reading, data)
    })
}
