//! Runs one operation for one caller, whatever transport it came by.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;

use crate::auth::caller::Caller;
use crate::engine::stream::Events;
use crate::engine::{Answer, Request};

use crate::http::GraphqlState;
use crate::http::refusal::Refusal;

/// What an operation gives.
pub(crate) enum Outcome {
    /// One answer.
    Answer(Answer),
    /// Answers until the subscription ends.
    Events(Events),
}

impl GraphqlState {
    /// Runs an operation of any kind, for transports that can carry a subscription.
    pub(crate) async fn run(
        &self,
        request: Request,
        caller: Arc<Caller>,
    ) -> Result<Outcome, Refusal> {
        if self.services.engine.kind(&request) != Some(OperationType::Subscription) {
            return self.execute(request, caller).await.map(Outcome::Answer);
        }
        Ok(
            match self.services.engine.subscribe(request, caller).await {
                Ok(events) => Outcome::Events(events),
                Err(answer) => Outcome::Answer(answer),
            },
        )
    }

    /// Runs a query or a mutation, when there is room for it.
    pub(crate) async fn execute(
        &self,
        request: Request,
        caller: Arc<Caller>,
    ) -> Result<Answer, Refusal> {
        let _room = self
            .room
            .try_acquire()
            .map_err(|_| Refusal::overloaded("the gateway runs as many requests as it can take"))?;
        Ok(self.services.engine.execute(request, caller).await)
    }
}
