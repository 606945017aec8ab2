//! The door: from a connection just accepted to one that speaks SMPP.
//!
//! Owns what comes before the first PDU: the PROXY header, the TLS handshake, and the look at
//! the first octets that tells SMPP from whatever else found the port. Refuses to answer what
//! is none: it is closed without a word, before anything is kept for it. Driven by the
//! listener, one task a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use portcullis_protocol::FrameFault;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::proxy_header::{self, HeaderError};
use super::tls::Reloading;
use super::wire::{NoGreeting, Stream, Wire};
use crate::gate::{Full, Place};
use crate::tls::Secured;

/// What one listening address asks of those who come.
pub(super) struct Door {
    /// Who must say by the PROXY protocol whom it speaks for; nobody, where it is not spoken.
    pub(super) trusted: Vec<IpNet>,
    pub(super) tls: Option<Arc<Reloading<ServerConfig>>>,
    pub(super) handshake_timeout: Duration,
    pub(super) session_init_timeout: Duration,
    pub(super) pdu_limit: usize,
}

/// A peer that has begun to speak SMPP.
pub(super) struct Guest {
    pub(super) wire: Wire,
    pub(super) place: Place,
    pub(super) secured: Option<Secured>,
}

/// Why a connection is closed at the door.
#[derive(Debug, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("not SMPP: {0}")]
    NotSmpp(FrameFault),
    #[error("closed by the peer before its first PDU")]
    Gone,
    #[error("no PDU within the session-init time-out")]
    Silent,
    #[error("not one of the trusted balancers: this address takes the PROXY protocol only")]
    Untrusted,
    #[error("PROXY header: {0}")]
    Header(#[from] HeaderError),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("PROXY header and TLS handshake not done within the handshake time-out")]
    Handshake,
    #[error(transparent)]
    Full(#[from] Full),
}

impl TurnedAway {
    /// Scanners and health checks: nothing an operator could do about them.
    pub(super) fn is_noise(&self) -> bool {
        match self {
            Self::NotSmpp(_) | Self::Gone | Self::Silent => true,
            Self::Header(error) => error.is_loss(),
            Self::Tls(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                // Not TLS at all, or hung up.
                Some(rustls::Error::InvalidMessage(_)) | None => true,
                Some(_) => false,
            },
            Self::Untrusted | Self::Handshake | Self::Full(_) => false,
        }
    }
}

impl Door {
    /// Lets a connection in as far as its first PDU, all within the session-init time-out.
    pub(super) async fn receive(&self, stream: TcpStream, place: Place) -> Result<Guest, TurnedAway> {
        timeout(self.session_init_timeout, self.greet(stream, place)).await.unwrap_or(Err(TurnedAway::Silent))
    }

    async fn greet(&self, stream: TcpStream, place: Place) -> Result<Guest, TurnedAway> {
        let secured = timeout(self.handshake_timeout, self.secure(stream, place));
        let (stream, place, secured) = secured.await.map_err(|_| TurnedAway::Handshake)??;
        let mut wire = Wire::new(stream, self.pdu_limit);
        match wire.greeting().await {
            Ok(()) => Ok(Guest { wire, place, secured }),
            Err(NoGreeting::NotSmpp(fault)) => Err(TurnedAway::NotSmpp(fault)),
            Err(NoGreeting::Gone) => Err(TurnedAway::Gone),
        }
    }

    async fn secure(
        &self,
        mut stream: TcpStream,
        mut place: Place,
    ) -> Result<(Box<dyn Stream>, Place, Option<Secured>), TurnedAway> {
        let peer = self.peer(&mut stream, place.peer()).await?;
        place.settle(peer)?;
        let Some(tls) = &self.tls else { return Ok((Box::new(stream), place, None)) };
        let stream = TlsAcceptor::from(tls.current()).accept(stream).await.map_err(TurnedAway::Tls)?;
        let secured = Secured::of(stream.get_ref().1);
        Ok((Box::new(stream), place, Some(secured)))
    }

    /// Whom the connection is for: what the header says, or who made it.
    async fn peer(&self, stream: &mut TcpStream, peer: SocketAddr) -> Result<SocketAddr, TurnedAway> {
        if self.trusted.is_empty() {
            return Ok(peer);
        }
        let from = peer.ip().to_canonical();
        if !self.trusted.iter().any(|network| network.contains(&from)) {
            return Err(TurnedAway::Untrusted);
        }
        Ok(proxy_header::receive(stream).await?.unwrap_or(peer))
    }
}
