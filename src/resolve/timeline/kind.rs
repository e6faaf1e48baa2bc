//! What a timeline tells of which records: one row for each type of entry.

/// One type of entry.
#[derive(Debug)]
pub struct Kind {
    /// `TimelineEntryType` of the graph.
    pub name: &'static str,
    /// The customer's relation whose records it is about; none for the customer's own records.
    pub relation: Option<&'static str>,
    /// Where a record says when it happened; each time is an entry.
    pub time: &'static str,
    /// Whether that is the time of an event that the vendor reports, and not read off a record's present state.
    pub is_exact: bool,
    /// The field and the values of it that a record must have.
    pub when: Option<(&'static str, &'static [&'static str])>,
    /// First words of the title.
    pub noun: &'static str,
    /// The field that names the record in the title.
    pub label: Option<&'static str>,
    /// Last words of the title.
    pub verb: &'static str,
    /// The field that tells more.
    pub summary: Option<&'static str>,
}

impl Kind {
    const fn new(name: &'static str, time: &'static str, words: [&'static str; 2]) -> Self {
        let [noun, verb] = words;
        Self {
            name,
            relation: None,
            time,
            is_exact: false,
            when: None,
            noun,
            label: None,
            verb,
            summary: None,
        }
    }

    const fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    const fn of(mut self, relation: &'static str) -> Self {
        self.relation = Some(relation);
        self
    }

    const fn named(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// One payment may go back in parts, so that its amount would not say what was refunded.
    const fn unnamed(mut self) -> Self {
        self.label = None;
        self
    }

    const fn told(mut self, summary: &'static str) -> Self {
        self.summary = Some(summary);
        self
    }

    const fn when(mut self, field: &'static str, values: &'static [&'static str]) -> Self {
        self.when = Some((field, values));
        self
    }

    const fn order(name: &'static str, time: &'static str, verb: &'static str) -> Self {
        Self::new(name, time, ["Order", verb])
            .of("orders")
            .named("orderNumber")
    }

    const fn payment(name: &'static str, time: &'static str, verb: &'static str) -> Self {
        Self::new(name, time, ["Payment of", verb])
            .of("payments")
            .named("amount")
            .told("reference")
            .exact()
    }

    const fn ticket(name: &'static str, time: &'static str, verb: &'static str) -> Self {
        Self::new(name, time, ["Ticket", verb])
            .of("tickets")
            .named("ticketNumber")
            .told("subject")
    }

    const fn campaign(name: &'static str, time: &'static str, verb: &'static str) -> Self {
        Self::new(name, time, ["Campaign", verb]).of("campaignMemberships")
    }

    const fn message(name: &'static str, time: &'static str, verb: &'static str) -> Self {
        Self::new(name, time, ["Message", verb])
            .of("messages")
            .told("subject")
            .exact()
    }
}

/// States of payments of which something went back.
const RETURNED: &[&str] = &["PARTIALLY_REFUNDED", "REFUNDED"];

/// All types of entries that are told.
pub const KINDS: &[Kind] = &[
    Kind::new("CUSTOMER_CREATED", "createdAt", ["Customer", "created"]).exact(),
    Kind::new("CUSTOMER_UPDATED", "updatedAt", ["Customer", "changed"]),
    Kind::order("ORDER_PLACED", "placedAt", "placed").exact(),
    Kind::order("ORDER_FULFILLED", "fulfillments.shippedAt", "sent"),
    Kind::order("ORDER_DELIVERED", "fulfillments.deliveredAt", "delivered"),
    Kind::order("ORDER_CANCELED", "canceledAt", "canceled").told("cancelReason"),
    Kind::payment("PAYMENT_SUCCEEDED", "capturedAt", "succeeded"),
    Kind::payment("PAYMENT_FAILED", "failedAt", "failed").told("failureMessage"),
    Kind::payment("PAYMENT_REFUNDED", "refunds.createdAt", "refunded")
        .when("status", RETURNED)
        .unnamed(),
    Kind::ticket("TICKET_CREATED", "createdAt", "opened").exact(),
    Kind::ticket("TICKET_RESOLVED", "resolvedAt", "resolved"),
    Kind::ticket("TICKET_RATED", "satisfaction.ratedAt", "rated").told("satisfaction.comment"),
    Kind::campaign("CAMPAIGN_ENROLLED", "enrolledAt", "joined"),
    Kind::campaign("CAMPAIGN_SENT", "sentAt", "sent"),
    Kind::campaign("CAMPAIGN_OPENED", "firstOpenedAt", "opened"),
    Kind::campaign("CAMPAIGN_CLICKED", "firstClickedAt", "clicked"),
    Kind::message("MESSAGE_SENT", "sentAt", "sent").when("direction", &["OUTBOUND"]),
    Kind::message("MESSAGE_RECEIVED", "createdAt", "received").when("direction", &["INBOUND"]),
];
