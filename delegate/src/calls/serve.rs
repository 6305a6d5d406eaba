//! The other end of calls: answers for a home, one stream at a time.

use std::sync::Arc;

use meridian_home::{CallError, Home};

use super::{Shared, convert, range, streaming, unary};
use crate::link::{
    Kind, Recv, Send, StreamError,
    wire::{CallAnswer, YesNo, answer},
};

/// Answers one stream that carries a call for `home`; read indexes go through `shared`. Returns when
/// it is answered, or its client has dropped it. Other kinds of streams are given up.
pub async fn serve(kind: Kind, send: Send, recv: Recv, home: Arc<dyn Home>, shared: &Shared) {
    let home = home.as_ref();
    let served = match kind {
        Kind::UnaryCall => unary::serve(home, send, recv).await,
        Kind::StreamingCall => streaming::serve(home, send, recv).await,
        Kind::FollowRange => range::serve(home, send, recv).await,
        Kind::ReadIndex | Kind::RegionReadIndex => {
            let told = async {
                let facts = shared.read_index().await?;
                Ok(answer::Body::Facts(convert::home_facts(facts)))
            };
            tell(send, recv, told).await
        }
        Kind::AuthEnabled => {
            let told = async {
                let yes = home.auth_enabled().await?;
                Ok(answer::Body::YesNo(YesNo { yes }))
            };
            tell(send, recv, told).await
        }
        Kind::Describe => {
            let told = async {
                let description = convert::home_description(home.describe());
                Ok(answer::Body::Description(description))
            };
            tell(send, recv, told).await
        }
        Kind::Control | Kind::Log | Kind::Snapshot | Kind::Status | Kind::StatusAll => {
            tracing::debug!(?kind, "no call is made by a stream of this kind");
            Ok(())
        }
    };
    if let Err(error) = served {
        tracing::trace!(?kind, %error, "a call ended without its answer");
    }
}

async fn tell(
    mut send: Send,
    mut recv: Recv,
    told: impl Future<Output = Result<answer::Body, CallError>>,
) -> Result<(), StreamError> {
    let stopped = send.stopped();
    let told = tokio::select! {
        told = told => told,
        gone = stopped => return Err(gone),
    };
    let body = told.unwrap_or_else(|error| answer::Body::Failure(convert::failure(&error)));
    send.message(&CallAnswer::from(body)).await?;
    send.finish();
    recv.settle();
    Ok(())
}
