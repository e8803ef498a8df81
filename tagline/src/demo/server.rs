//! An HTTP server on a free loopback port that ends with its owner.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A running server.
pub(super) struct LoopbackServer {
    address: SocketAddr,
    _stop: DropGuard,
}

impl LoopbackServer {
    /// Serves `router` until it is dropped or `stop` is cancelled.
    pub(super) async fn start(router: Router, stop: &CancellationToken) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stop = stop.child_token();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            // Without `with_graceful_shutdown`: idle connections of the client must not hold up the end.
            tokio::select! {
                result = axum::serve(listener, router) => {
                    if let Err(error) = result {
                        tracing::warn!(%error, "a server of the demo ended");
                    }
                }
                () = stopped => {}
            }
        });
        Ok(Self {
            address,
            _stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
