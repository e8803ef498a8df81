//! SIGINT and SIGTERM: the first asks for a clean end, the second ends at once.

use tokio_util::sync::CancellationToken;

/// The exit code of a process that a signal ended, as shells count it for SIGINT.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first signal. Must be called inside a tokio runtime.
///
/// # Errors
/// When signal handlers cannot be installed.
pub(crate) fn on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        };
        let name = next().await;
        tracing::info!(signal = name, "ending; a second signal ends at once");
        cancelled.cancel();
        next().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(token)
}
