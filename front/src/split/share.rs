//! Shares of traffic, and what keeps a user on one side of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use cookie::Cookie;
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

/// A share of traffic in hundredths of a percent, 0 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Share(u32);

/// The whole.
const WHOLE: u32 = 10_000;

/// The text is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share: wanted 0% to 100%, in steps of 0.01%")]
pub struct BadShare(String);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Does it hold the point `point` of all, 0 to 9,999?
    pub(crate) fn holds(self, point: u32) -> bool {
        point < self.0
    }
}

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let bad = || BadShare(text.to_owned());
        let number = text.strip_suffix('%').ok_or_else(bad)?;
        let percent: f64 = number.trim().parse().map_err(|_| bad())?;
        let hundredths = percent * 100.0;
        let is_whole = (hundredths - hundredths.round()).abs() < 1e-6;
        match is_whole && (0.0..=f64::from(WHOLE)).contains(&hundredths) {
            true => Ok(Self(hundredths.round() as u32)),
            false => Err(bad()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl TryFrom<String> for Share {
    type Error = BadShare;

    fn try_from(text: String) -> Result<Self, BadShare> {
        text.parse()
    }
}

/// By what a user is known: `address`, `key`, `header:NAME` or `cookie:NAME`. One who shows nothing of it is known by the
/// address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum SplitKey {
    /// The client's address, as seen through trusted proxies.
    #[default]
    Address,
    /// What stands in `Authorization`.
    Key,
    /// A header.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
}

impl FromStr for SplitKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("address", "") => Ok(Self::Address),
            ("key", "") => Ok(Self::Key),
            ("header", name) => {
                let name = name.parse().map(Self::Header);
                name.map_err(|_| format!("`{text}` names no header"))
            }
            ("cookie", name) if HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                Ok(Self::Cookie(name.to_owned()))
            }
            _ => Err(format!(
                "`{text}` names nothing to know a user by: wanted address, key, header:NAME or cookie:NAME"
            )),
        }
    }
}

impl From<SplitKey> for String {
    fn from(key: SplitKey) -> Self {
        match key {
            SplitKey::Address => "address".to_owned(),
            SplitKey::Key => "key".to_owned(),
            SplitKey::Header(name) => format!("header:{name}"),
            SplitKey::Cookie(name) => format!("cookie:{name}"),
        }
    }
}

impl TryFrom<String> for SplitKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl SplitKey {
    /// Is the user of a request in the share? The same for each request of a user on every front, and for a larger share of
    /// the same rule: those who are in stay in.
    pub(crate) fn is_in(&self, share: Share, rule: &str, head: &Parts, address: IpAddr) -> bool {
        let user = self
            .user(head)
            .unwrap_or_else(|| address.to_string().into_bytes());
        share.holds(point(rule, &user))
    }

    fn user(&self, head: &Parts) -> Option<Vec<u8>> {
        let value = |name: &HeaderName| head.headers.get(name).map(HeaderValue::as_bytes);
        match self {
            Self::Address => None,
            Self::Key => value(&header::AUTHORIZATION).map(<[u8]>::to_vec),
            Self::Header(name) => value(name).map(<[u8]>::to_vec),
            Self::Cookie(name) => {
                let lines = head.headers.get_all(header::COOKIE).iter();
                let lines = lines.filter_map(|line| line.to_str().ok());
                let mut cookies = lines.flat_map(Cookie::split_parse).flatten();
                let own = cookies.find(|cookie| cookie.name() == name);
                own.map(|own| own.value().as_bytes().to_vec())
            }
        }
    }
}

/// Returns the point of a user under a rule, 0 to 9,999.
pub(super) fn point(rule: &str, user: &[u8]) -> u32 {
    let mut hash = blake3::Hasher::new();
    hash.update(&(rule.len() as u64).to_le_bytes());
    hash.update(rule.as_bytes());
    hash.update(user);
    let digest = hash.finalize();
    let first: [u8; 8] = std::array::from_fn(|at| digest.as_bytes()[at]);
    (u64::from_le_bytes(first) % u64::from(WHOLE)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_100_000_users_goes_the_other_way_and_nobody_flips() {
        let share = |text: &str| text.parse::<Share>().expect("a share");
        let (tenth, fifth) = (share("10%"), share("20%"));
        let points = (0..100_000_u32).map(|user| point("new", format!("user-{user}").as_bytes()));
        let points: Vec<u32> = points.collect();
        let in_share = |share: Share| points.iter().filter(|point| share.holds(**point)).count();
        let part = in_share(tenth) as f64 / 1e5;
        assert!((part - 0.10).abs() < 0.005, "{part}");
        let part = in_share(fifth) as f64 / 1e5;
        assert!((part - 0.20).abs() < 0.005, "{part}");
        assert!(
            points
                .iter()
                .all(|point| !tenth.holds(*point) || fifth.holds(*point))
        );
        let again = (0..100_000_u32).map(|user| point("new", format!("user-{user}").as_bytes()));
        assert!(again.eq(points.iter().copied()), "a day later");
        let other = points.iter().enumerate().filter(|(user, here)| {
            let there = point("next", format!("user-{user}").as_bytes());
            tenth.holds(**here) && tenth.holds(there)
        });
        let both = other.count() as f64 / 1e5;
        assert!((both - 0.01).abs() < 0.002, "rules deal anew: {both}");
    }

    #[test]
    fn users_are_known_by_what_the_rule_says() {
        let head = |name: &str, value: &str| {
            let request = http::Request::get("/").header(name, value).body(());
            request.expect("a request").into_parts().0
        };
        let user = |key: &str, head: &Parts| key.parse::<SplitKey>().expect("a key").user(head);
        let cookie = head("cookie", "a=1; sid=kim");
        assert_eq!(user("cookie:sid", &cookie).as_deref(), Some(&b"kim"[..]));
        assert_eq!(user("cookie:other", &cookie), None);
        assert_eq!(
            user("header:x-user", &head("x-user", "lee")).as_deref(),
            Some(&b"lee"[..])
        );
        assert_eq!(
            user("key", &head("authorization", "ApiKey x")).as_deref(),
            Some(&b"ApiKey x"[..])
        );
        assert_eq!(user("address", &cookie), None);
        for wrong in ["", "user", "header:", "cookie:a b", "address:x"] {
            assert!(wrong.parse::<SplitKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_read_in_hundredths_of_a_percent() {
        for (text, hundredths) in [
            ("0%", 0),
            ("0.01%", 1),
            ("10%", 1_000),
            ("12.5%", 1_250),
            ("100%", 10_000),
        ] {
            let share: Share = text.parse().expect(text);
            assert_eq!((share.0, share.to_string().as_str()), (hundredths, text));
        }
        for wrong in ["", "10", "-1%", "101%", "0.001%", "NaN%", "%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
