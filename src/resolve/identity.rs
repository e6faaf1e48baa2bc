//! Links the records of one customer across sources, deterministically: by external id, then by e-mail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;

use crate::connector::Connector;
use crate::fetch::status::{SourceStatus, add};
use crate::fetch::{Outcome, Question, ReadPolicy};
use crate::record::{Identifier, IdentifierKind, Reading, Record, Trust};
use crate::resolve::item::{Cluster, Member};
use crate::resolve::{IdentityOrder, Run};

/// The entity that is linked.
pub const CUSTOMER: &str = "Customer";
/// How far identifiers of found records are followed.
const ROUNDS_MAX: u8 = 2;
/// How many look-ups one source is asked for one customer, one after the other.
const WAVES_MAX: usize = 10;
/// How many records one customer can have.
const MEMBERS_MAX: usize = 20;

/// A customer while its records are looked for.
#[derive(Debug)]
struct Search {
    members: Vec<Found>,
    /// Look-ups made already, by source and operation and key.
    asked: BTreeSet<(Arc<str>, &'static str, Arc<str>)>,
    /// Sources whose hits were held back; they are not asked again.
    held: BTreeSet<Arc<str>>,
    statuses: Vec<SourceStatus>,
    bounded: bool,
}

#[derive(Debug)]
struct Found {
    member: Member,
    round: u8,
}

/// One look-up that a search wants in the next wave.
#[derive(Debug, Clone)]
struct Lookup {
    search: usize,
    operation: &'static str,
    key: Arc<str>,
    method: &'static str,
    matched: Identifier,
    round: u8,
}

/// Finds the records of each seed's customer in every source that can look one up. All seeds advance together, so
/// that each wave asks each source once for all of them.
pub async fn resolve(run: &Run, seeds: &[Reading], policy: ReadPolicy) -> Vec<Cluster> {
    let mut searches: Vec<Search> = seeds.iter().map(Search::of).collect();
    for _ in 0..WAVES_MAX {
        let wave = plan_wave(run, &mut searches);
        if wave.is_empty() {
            break;
        }
        let asked = wave
            .into_iter()
            .map(|(source, lookups)| ask(run, source, lookups, policy));
        let mut answers = join_all(asked).await;
        // Stronger rules first, then by source, so that the result does not depend on who answered first.
        answers.sort_by_key(|answer| run.resolver.order.rank(&answer.source));
        for kind in ["EXTERNAL_ID", "EMAIL"] {
            for answer in &answers {
                judge(run, &mut searches, answer, kind);
            }
        }
    }
    searches
        .into_iter()
        .map(|search| search.finish(run))
        .collect()
}

impl Search {
    fn of(seed: &Reading) -> Self {
        let member = Member {
            reading: seed.clone(),
            method: "ANCHOR",
            matched_on: Vec::new(),
        };
        Self {
            members: vec![Found { member, round: 0 }],
            asked: BTreeSet::new(),
            held: BTreeSet::new(),
            statuses: vec![SourceStatus::new(
                seed.record.source.clone(),
                match seed.age {
                    crate::record::Age::Live => "OK",
                    crate::record::Age::Cached => "CACHED",
                    crate::record::Age::Stale => "STALE",
                },
            )],
            bounded: false,
        }
    }

    fn has(&self, source: &str) -> bool {
        self.members
            .iter()
            .any(|found| &*found.member.reading.record.source == source)
    }

    /// The look-ups that this source should make next: the strongest kind that was not tried yet.
    fn next_lookups(
        &mut self,
        index: usize,
        connector: &Connector,
        order: &IdentityOrder,
    ) -> Vec<Lookup> {
        let source = &connector.source;
        if self.has(source) || self.held.contains(source) {
            return Vec::new();
        }
        for kind in [IdentifierKind::ExternalId, IdentifierKind::Email] {
            let mut lookups = Vec::new();
            for found in &self.members {
                for mut lookup in candidates(&found.member.reading.record, connector, kind, order) {
                    let asked = (source.clone(), lookup.operation, lookup.key.clone());
                    if self.asked.contains(&asked) {
                        continue;
                    }
                    if found.round >= ROUNDS_MAX {
                        self.bounded = true;
                        continue;
                    }
                    // A source that takes one key for a call is asked for one, and for the next only when that finds nothing.
                    if !lookups.is_empty() && !connector.takes_batches(CUSTOMER, lookup.operation) {
                        continue;
                    }
                    self.asked.insert(asked);
                    lookup.search = index;
                    lookup.round = found.round + 1;
                    lookups.push(lookup);
                }
            }
            if !lookups.is_empty() {
                return lookups;
            }
        }
        Vec::new()
    }

    fn finish(self, run: &Run) -> Cluster {
        let mut members: Vec<Member> = self.members.into_iter().map(|found| found.member).collect();
        let order = &run.resolver.order;
        let place = |member: &Member| {
            let record = &member.reading.record;
            (order.rank(&record.source), record.remote_id.clone())
        };
        members.sort_by_key(place);
        let anchor = |member: &Member| {
            let source = &member.reading.record.source;
            order
                .anchors
                .iter()
                .position(|key| key == source)
                .unwrap_or(usize::MAX)
        };
        let first = members
            .iter()
            .enumerate()
            .min_by_key(|(_, member)| anchor(member));
        if let Some((first, _)) = first {
            let found = members.remove(first);
            members.insert(0, found);
        }
        let mut statuses = self.statuses;
        for connector in run.resolver.fetch.sources() {
            let asked = statuses
                .iter()
                .any(|status| status.source == connector.source);
            if !asked && connector.operations_of(CUSTOMER).next().is_some() {
                statuses.push(SourceStatus::new(connector.source.clone(), "SKIPPED"));
            }
        }
        statuses.sort_by_key(|status| run.resolver.order.rank(&status.source));
        Cluster {
            members,
            statuses,
            bounded: self.bounded,
            resolved_at: run.resolver.fetch.now(),
        }
    }
}

/// The look-ups by which a record's identifiers can find its counterpart in a source.
fn candidates(
    record: &Record,
    connector: &Connector,
    kind: IdentifierKind,
    order: &IdentityOrder,
) -> Vec<Lookup> {
    let lookup = |operation, key: &Arc<str>, method, matched: Identifier| Lookup {
        search: 0,
        operation,
        key: key.clone(),
        method,
        matched,
        round: 0,
    };
    let offers = |operation| connector.operation(CUSTOMER, operation).is_some();
    let mut found = Vec::new();
    match kind {
        IdentifierKind::ExternalId => {
            for known in record.identifiers.iter().filter(|known| known.kind == kind) {
                if known.namespace.as_deref() == Some(&*connector.source) && offers("get") {
                    found.push(lookup(
                        "get",
                        &known.normalized,
                        "EXTERNAL_ID",
                        known.clone(),
                    ));
                }
                if offers("byExternalId") && known.namespace == connector.external_namespace {
                    found.push(lookup(
                        "byExternalId",
                        &known.normalized,
                        "EXTERNAL_ID",
                        known.clone(),
                    ));
                }
            }
            if offers("byExternalId")
                && connector.external_namespace.as_ref() == Some(&record.source)
            {
                found.push(lookup(
                    "byExternalId",
                    &record.remote_id,
                    "EXTERNAL_ID",
                    own_id(record),
                ));
            }
        }
        IdentifierKind::Email => {
            let emails = record.identifiers.iter().filter(|known| known.kind == kind);
            for known in
                emails.filter(|known| offers("byEmail") && !order.never_links(&known.normalized))
            {
                found.push(lookup("byEmail", &known.normalized, "EMAIL", known.clone()));
            }
        }
    }
    found
}

/// A record's own id, as an identifier that others may store.
pub fn own_id(record: &Record) -> Identifier {
    Identifier {
        kind: IdentifierKind::ExternalId,
        namespace: Some(record.source.clone()),
        value: record.remote_id.clone(),
        normalized: record.remote_id.clone(),
        verified: Some(true),
    }
}

type Wave = BTreeMap<Arc<str>, Vec<Lookup>>;

fn plan_wave(run: &Run, searches: &mut [Search]) -> Wave {
    let mut wave = Wave::new();
    for connector in run.resolver.fetch.sources() {
        for (index, search) in searches.iter_mut().enumerate() {
            let lookups = search.next_lookups(index, connector, &run.resolver.order);
            if !lookups.is_empty() {
                wave.entry(connector.source.clone())
                    .or_default()
                    .extend(lookups);
            }
        }
    }
    wave
}

#[derive(Debug)]
struct Answers {
    source: Arc<str>,
    answered: Vec<(Lookup, Outcome)>,
}

async fn ask(run: &Run, source: Arc<str>, lookups: Vec<Lookup>, policy: ReadPolicy) -> Answers {
    let mut by_operation: BTreeMap<&'static str, Vec<Lookup>> = BTreeMap::new();
    for lookup in lookups {
        by_operation
            .entry(lookup.operation)
            .or_default()
            .push(lookup);
    }
    let asked = by_operation.into_iter().map(|(operation, lookups)| {
        let question = Question {
            source: source.clone(),
            entity: CUSTOMER.into(),
            operation: operation.into(),
            ask: "".into(),
            policy,
        };
        async move {
            let keys: Vec<Arc<str>> = lookups.iter().map(|lookup| lookup.key.clone()).collect();
            let outcomes = run.loader.load(&question, &keys).await;
            lookups.into_iter().zip(outcomes).collect::<Vec<_>>()
        }
    });
    let answered = join_all(asked).await.into_iter().flatten().collect();
    Answers { source, answered }
}

/// Links or holds what one source answered under one rule.
fn judge(run: &Run, searches: &mut [Search], answers: &Answers, kind: &str) {
    let mut hits: BTreeMap<usize, Vec<(Lookup, Reading)>> = BTreeMap::new();
    for (lookup, outcome) in answers
        .answered
        .iter()
        .filter(|(lookup, _)| lookup.method == kind)
    {
        let Some(search) = searches.get_mut(lookup.search) else {
            continue;
        };
        add(
            &mut search.statuses,
            SourceStatus::of(&answers.source, outcome),
        );
        let Ok(answer) = outcome else {
            // A source that fails is not asked again for this customer: one timeout is enough.
            search.held.insert(answers.source.clone());
            continue;
        };
        for record in &answer.group.records {
            let reading = Reading {
                record: record.clone(),
                fetched_at: answer.fetched_at,
                expires_at: answer.expires_at,
                age: answer.age,
            };
            hits.entry(lookup.search)
                .or_default()
                .push((lookup.clone(), reading));
        }
    }
    for (index, found) in hits {
        let Some(search) = searches.get_mut(index) else {
            continue;
        };
        if search.has(&answers.source) || search.held.contains(&answers.source) {
            continue;
        }
        let mut records: BTreeMap<Arc<str>, Reading> = BTreeMap::new();
        for (_, reading) in &found {
            records
                .entry(reading.record.remote_id.clone())
                .or_insert_with(|| reading.clone());
        }
        let single = if records.len() == 1 {
            records.into_values().next()
        } else {
            None
        };
        match single {
            Some(reading) if may_link(run, search, &reading.record, kind) => {
                link(search, &found, reading);
            }
            // Several records, or contradicting evidence: a person must decide.
            _ => {
                search.held.insert(answers.source.clone());
            }
        }
    }
}

fn link(search: &mut Search, found: &[(Lookup, Reading)], reading: Reading) {
    let mut matched: Vec<Identifier> = Vec::new();
    for (lookup, _) in found {
        if !matched.contains(&lookup.matched) {
            matched.push(lookup.matched.clone());
        }
    }
    let round = found
        .iter()
        .map(|(lookup, _)| lookup.round)
        .min()
        .unwrap_or(ROUNDS_MAX);
    let method = found.first().map_or("EMAIL", |(lookup, _)| lookup.method);
    let verified = method == "EMAIL"
        && matched.iter().any(|known| {
            known.verified == Some(true)
                && reading.record.identifiers.iter().any(|own| {
                    own.kind == known.kind
                        && own.normalized == known.normalized
                        && own.verified == Some(true)
                })
        });
    let method = if verified { "VERIFIED_EMAIL" } else { method };
    search.members.push(Found {
        member: Member {
            reading,
            method,
            matched_on: matched,
        },
        round,
    });
}

/// The vetoes: a deleted record, strong ids that contradict, a full cluster, a claimed address against financial data.
fn may_link(run: &Run, search: &Search, hit: &Record, kind: &str) -> bool {
    if hit.deleted || search.members.len() >= MEMBERS_MAX {
        return false;
    }
    let members = || {
        search
            .members
            .iter()
            .map(|found| &*found.member.reading.record)
    };
    if members().any(|member| contradict(member, hit) || contradict(hit, member)) {
        return false;
    }
    if kind == "EMAIL" {
        let financial = |record: &Record| {
            run.resolver
                .fetch
                .source(&record.source)
                .is_some_and(|connector| matches!(&*connector.category, "ERP" | "PAYMENTS"))
        };
        let claimed = |record: &Record| {
            run.resolver
                .fetch
                .source(&record.source)
                .is_some_and(|connector| connector.email_trust == Trust::SelfAsserted)
        };
        let hazard = members().any(|member| {
            (claimed(member) && financial(hit)) || (claimed(hit) && financial(member))
        });
        return !hazard || members().any(|member| !claimed(member) && shares_email(member, hit));
    }
    true
}

fn shares_email(left: &Record, right: &Record) -> bool {
    let emails = |record: &Record| -> BTreeSet<Arc<str>> {
        record
            .identifiers
            .iter()
            .filter(|known| known.kind == IdentifierKind::Email)
            .map(|known| known.normalized.clone())
            .collect()
    };
    !emails(left).is_disjoint(&emails(right))
}

/// Whether two records hold different ids of one namespace, or one stores an id of the other's source that is not its own.
fn contradict(left: &Record, right: &Record) -> bool {
    let external = |record: &'_ Record| {
        record
            .identifiers
            .iter()
            .filter(|known| known.kind == IdentifierKind::ExternalId)
            .cloned()
            .collect::<Vec<_>>()
    };
    for own in external(left) {
        if own.namespace.as_deref() == Some(&*right.source) && own.normalized != right.remote_id {
            return true;
        }
        let same = external(right)
            .into_iter()
            .filter(|other| other.namespace == own.namespace);
        let values: Vec<_> = same.map(|other| other.normalized).collect();
        if !values.is_empty() && !values.contains(&own.normalized) {
            return true;
        }
    }
    false
}
