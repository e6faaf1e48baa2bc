//! Runs one operation for one caller, whatever transport it came by.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;

use crate::auth::caller::Caller;
use crate::engine::right::Rights;
use crate::engine::stream::Events;
use crate::engine::{Answer, Request};
use crate::error::Code;

use crate::http::GraphqlState;
use crate::http::limit::header;
use crate::http::limit::meter::Wallet;
use crate::http::params::Params;
use crate::http::refusal::Refusal;

/// What an operation gives.
pub(crate) enum Outcome {
    /// One answer.
    Answer(Answer),
    /// Answers until the subscription ends.
    Events(Events),
}

/// A request whose sender, document and rights are known.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) caller: Arc<Caller>,
    /// What pays for it.
    pub(crate) wallet: Arc<Wallet>,
}

impl GraphqlState {
    /// Finds the document that a request means, and what its caller may do.
    pub(crate) async fn prepare(
        &self,
        params: Params,
        caller: Arc<Caller>,
        request_id: &str,
    ) -> Result<Prepared, Refusal> {
        let desk = &self.services.desk;
        let allowance = desk.allowances.of(&caller);
        let wallet = desk.meter.wallet(&caller, &allowance);
        let query = desk
            .documents
            .text(params.document, allowance.is_trusted_only)
            .await;
        let query = match query {
            Ok(query) => query,
            Err(refusal) => {
                charged(&wallet).await?;
                return Err(refusal);
            }
        };
        let request = Request {
            request_id: request_id.to_owned(),
            query,
            operation_name: params.operation_name,
            variables: params.variables,
            after: params.after,
            tells_cost: params.tells_cost.unwrap_or(allowance.tells_cost),
            rights: Rights {
                introspection: allowance.introspection,
                suggestions: allowance.suggestions,
                purse: Some(wallet.clone()),
            },
        };
        Ok(Prepared {
            request,
            caller,
            wallet,
        })
    }

    /// Runs an operation of any kind, for transports that can carry a subscription.
    pub(crate) async fn run(&self, prepared: Prepared) -> Result<Outcome, Refusal> {
        let engine = &self.services.engine;
        if engine.kind(&prepared.request) != Some(OperationType::Subscription) {
            return self.execute(prepared).await.map(Outcome::Answer);
        }
        let Prepared {
            request,
            caller,
            wallet,
        } = prepared;
        let outcome = match engine.subscribe(request, caller).await {
            Ok(events) => Outcome::Events(events),
            Err(answer) => Outcome::Answer(answer),
        };
        charged(&wallet).await?;
        Ok(outcome)
    }

    /// Runs a query or a mutation, when there is room for it and its caller can pay.
    pub(crate) async fn execute(&self, prepared: Prepared) -> Result<Answer, Refusal> {
        let Prepared {
            request,
            caller,
            wallet,
        } = prepared;
        let _room = self
            .room
            .try_acquire()
            .map_err(|_| Refusal::overloaded("the gateway runs as many requests as it can take"))?;
        let answer = self.services.engine.execute(request, caller).await;
        charged(&wallet).await?;
        Ok(answer)
    }
}

/// Sees that the request is paid, also when it never came to run.
async fn charged(wallet: &Wallet) -> Result<(), Refusal> {
    let paid = wallet.settled().await;
    if paid.is_given {
        return Ok(());
    }
    Err(Refusal {
        retry_after: Some(header::wait(&paid)),
        ..Refusal::new(Code::RateLimited, "this caller has used up what it may ask")
    })
}
