//! Ambassadors: companions of a program that stand between it and the services it calls.
//!
//! Does: make several Redis servers one ([`RedisAmbassador`]); carry connections to a service that moves
//! ([`serve_broker`]); show what a Redis server measures and logs ([`RedisReport`], [`SlowLog`]); keep values of ours in
//! one for a while ([`RedisKeep`]).
//! Does not: search, read the environment, decide what runs. Only here Redis is named.

mod accepting;
mod broker;
mod redis;
mod report;

pub use broker::{BadTarget, BrokerOptions, Endpoint, Endpoints, Target, serve_broker};
pub use redis::{
    BadRedisUrl, RedisAmbassador, RedisKeep, RedisOptions, RedisUrl, ServerError, key_positions,
};
pub use report::{News, RedisReport, SlowEntry, SlowLog, SlowLogPosition};
