//! Names of hosts and their addresses: how one becomes the other, and which addresses nobody outside has.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;

/// Addresses that are being looked up.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks up the addresses of hosts. The system's resolver does by default.
pub trait ResolveNames: fmt::Debug + Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a>;

    /// Whether an address belongs to this machine or an inner network: private, loopback, link-local and the like.
    /// What an answer from outside points to must not be there.
    fn is_inside(&self, address: IpAddr) -> bool {
        is_inner_address(address)
    }
}

/// The system's resolver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemNames;

impl ResolveNames for SystemNames {
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Whether an address can only be this link's: where clouds keep their metadata services.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            // The second is Amazon's.
            address.is_unicast_link_local()
                || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
                || embedded_v4(address.segments()).is_some_and(|v4| v4.is_link_local())
        }
    }
}

/// Whether nobody outside of this machine or network has this address.
pub(crate) fn is_inner_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast()
                || address.is_documentation()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && matches!(b, 18 | 19))
                || a >= 240
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || embedded_v4(segments).is_some_and(|v4| is_inner_address(IpAddr::V4(v4)))
        }
    }
}

/// IPv4 inside IPv6: mapped, compatible, NAT64 and 6to4 addresses reach IPv4 hosts.
fn embedded_v4(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}
