//! What the hub's home is, kept up in the background, because whoever asks does not wait.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use meridian_home::{Description, EndpointStatus};
use tokio_util::sync::CancellationToken;

use super::{caller::Caller, convert};
use crate::link::{Kind, wire::answer};

/// How often the hub is asked: a few hundred bytes, and an operator looks again after as long.
const INTERVAL: Duration = Duration::from_secs(3);

/// How long the hub may take, a link included.
const PATIENCE: Duration = Duration::from_secs(5);

/// The home as the hub described it last.
pub(super) struct Described(ArcSwap<Description>);

impl Described {
    pub(super) fn new() -> Self {
        Self(ArcSwap::from_pointee(unreached(
            "the hub has not been reached yet",
        )))
    }

    pub(super) fn now(&self) -> Description {
        Description::clone(&self.0.load())
    }

    /// Asks until `token` is cancelled.
    pub(super) async fn keep(self: Arc<Self>, caller: Arc<Caller>, token: CancellationToken) {
        let asking = async {
            loop {
                self.ask(&caller).await;
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::select! {
            () = asking => {}
            () = token.cancelled() => {}
        }
    }

    async fn ask(&self, caller: &Caller) {
        let problem = match caller.ask(Kind::Describe, Instant::now() + PATIENCE).await {
            Ok(answer::Body::Description(told)) => {
                self.0.store(Arc::new(convert::description(told)));
                return;
            }
            Ok(
                answer::Body::Failure(_)
                | answer::Body::Outcome(_)
                | answer::Body::Facts(_)
                | answer::Body::YesNo(_),
            ) => "the hub gave another answer".to_owned(),
            Err(error) => error.message,
        };
        // What was known stays known, but not how it is.
        let mut last = self.now();
        for endpoint in &mut last.endpoints {
            endpoint.healthy = false;
            endpoint.last_error = Some(format!("not heard of: {problem}"));
        }
        self.0.store(Arc::new(last));
    }
}

fn unreached(problem: &str) -> Description {
    Description {
        kind: "etcd",
        replicated: false,
        version: None,
        endpoints: vec![EndpointStatus {
            url: "hub".to_owned(),
            version: None,
            healthy: false,
            last_error: Some(problem.to_owned()),
            warning: None,
        }],
    }
}
