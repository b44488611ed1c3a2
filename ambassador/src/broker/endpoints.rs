//! Where a service is: its addresses, with how often and in which order each is tried.

use rand::Rng;

/// One address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub address: String,
    /// Those with a lower number are tried first.
    pub priority: u16,
    /// Share of the connections among those of one priority; 0 is nearly none.
    pub weight: u16,
}

/// The addresses of a service, as of now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoints(Vec<Endpoint>);

impl Endpoints {
    /// Takes the addresses of a service.
    #[must_use]
    pub fn new(mut endpoints: Vec<Endpoint>) -> Self {
        // Two looks that find the same are equal.
        endpoints.sort_by(|a, b| (a.priority, &a.address).cmp(&(b.priority, &b.address)));
        endpoints.dedup();
        Self(endpoints)
    }

    /// Takes addresses that share the connections.
    pub fn alike(addresses: impl IntoIterator<Item = String>) -> Self {
        let endpoint = |address| Endpoint {
            address,
            priority: 0,
            weight: 1,
        };
        Self::new(addresses.into_iter().map(endpoint).collect())
    }

    /// Is no address known?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is `address` among them?
    #[must_use]
    pub fn has(&self, address: &str) -> bool {
        self.0.iter().any(|endpoint| endpoint.address == address)
    }

    /// Returns the addresses in the order in which one connection tries them (RFC 2782): by priority, and at random
    /// by weight among those of one.
    #[must_use]
    pub fn in_turn(&self) -> Vec<String> {
        let mut rest: Vec<&Endpoint> = self.0.iter().collect();
        let mut turn = Vec::with_capacity(rest.len());
        while let Some(first) = rest.iter().map(|endpoint| endpoint.priority).min() {
            // A weight of 0 has a chance too, a small one.
            let weight = |endpoint: &Endpoint| u64::from(endpoint.weight) * 1_000 + 1;
            let alike = rest.iter().filter(|endpoint| endpoint.priority == first);
            let mut drawn =
                rand::rng().random_range(0..alike.map(|endpoint| weight(endpoint)).sum());
            let at = rest.iter().position(|endpoint| {
                if endpoint.priority != first {
                    return false;
                }
                match drawn.checked_sub(weight(endpoint)) {
                    Some(left) => {
                        drawn = left;
                        false
                    }
                    None => true,
                }
            });
            let Some(at) = at else { break };
            turn.push(rest.swap_remove(at).address.clone());
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_come_first_and_weights_share() {
        let endpoint = |address: &str, priority, weight| Endpoint {
            address: address.to_owned(),
            priority,
            weight,
        };
        let endpoints = Endpoints::new(vec![
            endpoint("spare:1", 20, 1),
            endpoint("small:1", 10, 1),
            endpoint("large:1", 10, 3),
        ]);
        let mut large_first = 0;
        for _ in 0..4_000 {
            let turn = endpoints.in_turn();
            assert_eq!(turn.len(), 3);
            assert_eq!(turn[2], "spare:1");
            large_first += u32::from(turn[0] == "large:1");
        }
        assert!((2_800..3_200).contains(&large_first), "{large_first}");
        assert!(Endpoints::default().in_turn().is_empty());
    }
}
