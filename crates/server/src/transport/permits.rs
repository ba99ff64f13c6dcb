//! The two caps on connections: in all, and per client address.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{CONNECTIONS, CONNECTIONS_REFUSED_TOTAL, LABEL_REASON, Limits};

/// Admits sockets while there is room.
pub(super) struct Gate {
    all: Arc<Semaphore>,
    per_peer: Arc<Mutex<HashMap<IpAddr, usize>>>,
    max_per_peer: usize,
}

/// One admitted socket; gives its place back when dropped.
pub(super) struct Permit {
    _of_all: OwnedSemaphorePermit,
    per_peer: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
    _seat: Option<Seat>,
}

/// A lane's count of the connections that are open on it: one for each clone.
#[derive(Default)]
pub(super) struct Seat(Arc<()>);

impl Seat {
    /// How many permits have taken it.
    pub(super) fn taken(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Permit {
    /// The permit, counted on its lane too.
    pub(super) fn seated(mut self, seat: &Seat) -> Permit {
        self._seat = Some(Seat(Arc::clone(&seat.0)));
        self
    }
}

impl Gate {
    pub(super) fn new(limits: &Limits) -> Gate {
        Gate {
            all: Arc::new(Semaphore::new(
                limits.max_connections.min(Semaphore::MAX_PERMITS),
            )),
            per_peer: Arc::default(),
            max_per_peer: limits.max_connections_per_peer,
        }
    }

    /// A permit, or none (counted) when a cap is reached. An IPv4 peer of a dual-stack socket counts as IPv4.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Permit> {
        let address = address.to_canonical();
        let Ok(of_all) = Arc::clone(&self.all).try_acquire_owned() else {
            counter!(CONNECTIONS_REFUSED_TOTAL, LABEL_REASON => "total").increment(1);
            return None;
        };
        let mut open = self.per_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.get(&address).copied().unwrap_or(0);
        if here >= self.max_per_peer {
            counter!(CONNECTIONS_REFUSED_TOTAL, LABEL_REASON => "per_peer").increment(1);
            return None;
        }
        open.insert(address, here + 1);
        gauge!(CONNECTIONS).increment(1.0);
        Some(Permit {
            _of_all: of_all,
            per_peer: Arc::clone(&self.per_peer),
            address,
            _seat: None,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.per_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = open.entry(self.address) {
            *entry.get_mut() -= 1;
            // Addresses that went away leave nothing behind.
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        gauge!(CONNECTIONS).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn gate(max_connections: usize, max_connections_per_peer: usize) -> Gate {
        Gate::new(&Limits {
            max_connections,
            max_connections_per_peer,
            handshake_timeout: Duration::ZERO,
        })
    }

    #[test]
    fn a_place_is_given_back_when_the_permit_is_dropped() {
        let gate = gate(2, 1);
        let [a, b, c] =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse::<IpAddr>().unwrap());
        let first = gate.admit(a).unwrap();
        assert!(gate.admit(a).is_none(), "per peer");
        let _second = gate.admit(b).unwrap();
        assert!(gate.admit(c).is_none(), "in all");
        drop(first);
        let _third = gate.admit(c).unwrap();
        assert_eq!(
            gate.per_peer.lock().unwrap().len(),
            2,
            "the address that left is forgotten"
        );
    }

    #[test]
    fn one_address_in_two_notations_is_one_peer() {
        let gate = gate(9, 1);
        let _permit = gate.admit("192.0.2.1".parse().unwrap()).unwrap();
        assert!(gate.admit("::ffff:192.0.2.1".parse().unwrap()).is_none());
    }

    #[test]
    fn a_refused_peer_does_not_use_up_the_places_of_all() {
        let gate = gate(2, 1);
        let _permit = gate.admit("192.0.2.1".parse().unwrap()).unwrap();
        for _ in 0..5 {
            assert!(gate.admit("192.0.2.1".parse().unwrap()).is_none());
        }
        assert!(gate.admit("192.0.2.2".parse().unwrap()).is_some());
    }
}
