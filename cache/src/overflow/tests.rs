//! Answers beyond memory: they come back for as long as they are current, and nothing wrong ever does.

use std::collections::HashMap;

use gleaner_model::security::Security;
use http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::tests::whole;
use crate::tests::world::{Bug, Known, World, keep};
use crate::{Answer, Cache, CacheOptions, Keep, Served};

/// A place beyond, in memory.
#[derive(Default)]
pub(crate) struct Place {
    values: Mutex<HashMap<String, Bytes>>,
    num_asked: AtomicUsize,
    is_away: Mutex<bool>,
    /// Never answers.
    is_silent: Mutex<bool>,
    is_remote: bool,
    changed: tokio::sync::Notify,
}

#[async_trait]
impl Beyond for Place {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BeyondError> {
        self.num_asked.fetch_add(1, Ordering::SeqCst);
        if *self.is_silent.lock() {
            std::future::pending::<()>().await;
        }
        match *self.is_away.lock() {
            true => Err(BeyondError("away".to_owned())),
            false => Ok(self.values.lock().get(name).cloned()),
        }
    }

    async fn put(&self, name: &str, value: Bytes, lies_for: Duration) -> Result<(), BeyondError> {
        assert_eq!(lies_for, LIES_FOR);
        self.values.lock().insert(name.to_owned(), value);
        self.changed.notify_one();
        Ok(())
    }

    fn is_local(&self) -> bool {
        !self.is_remote
    }
}

impl Place {
    fn num_asked(&self) -> usize {
        self.num_asked.load(Ordering::SeqCst)
    }

    /// Waits until so many values lie here.
    async fn until(&self, num: usize) {
        while self.values.lock().len() < num {
            self.changed.notified().await;
        }
    }
}

/// A cache in memory for some answers of a kilobyte, and what lies beyond.
struct Site {
    world: Arc<World>,
    place: Arc<Place>,
    cache: Arc<Cache>,
}

fn state(secret: Option<u8>) -> Arc<ClusterState> {
    let security = secret.map(|byte| {
        Arc::new(Security {
            api_keys: Default::default(),
            seal: gleaner_model::security::KeyHash([byte; 32]),
        })
    });
    Arc::new(ClusterState {
        security,
        ..ClusterState::default()
    })
}

fn cache_over(world: &Arc<World>, place: &Arc<Place>, secret: Option<u8>) -> Arc<Cache> {
    let state = state(secret);
    let options = CacheOptions {
        memory_bytes: 64 << 10,
        overflow: Some(OverflowOptions {
            beyond: Arc::clone(place) as _,
            state: Arc::new(move || Some(Arc::clone(&state))),
        }),
        ..CacheOptions::new(|| 1_000_000)
    };
    Cache::new(options, Arc::clone(world) as _)
}

impl Site {
    fn new(known: Known) -> Self {
        let world = World::known(known, Bug::None);
        let place = Arc::new(Place::default());
        let cache = cache_over(&world, &place, Some(1));
        Self {
            world,
            place,
            cache,
        }
    }

    /// Puts an answer beyond, as if it had fallen out of memory.
    async fn put(&self, keep: &Keep, text: &str) {
        let answer = self.answer(text);
        let entry = Arc::new(Entry::of(&answer, self.world.edition()));
        let before = self.place.values.lock().len();
        let falling = self.cache.falling().expect("it overflows");
        falling.take(keep.key, &entry);
        self.place.until(before + 1).await;
    }

    fn answer(&self, text: &str) -> Answer {
        let mut answer = whole(text, Some(self.world.edition()));
        let warning = HeaderValue::from_static("299 - \"a warning\"");
        answer.headers.append(header::WARNING, warning);
        answer
    }

    async fn ask(&self, number: u8, text: &str) -> (&'static str, String) {
        asked(&self.cache, &keep(number), self.answer(text)).await
    }
}

async fn asked(cache: &Arc<Cache>, keep: &Keep, answer: Answer) -> (&'static str, String) {
    let served = cache.answer(keep, || async { answer }).await;
    match served.expect("an answer") {
        Served::Kept(entry) => {
            assert!(entry.headers.contains_key(header::WARNING));
            ("kept", String::from_utf8_lossy(&entry.body).into_owned())
        }
        Served::Evaluated(answer) => {
            assert_eq!(answer.status, StatusCode::OK);
            (
                "evaluated",
                String::from_utf8_lossy(&answer.body).into_owned(),
            )
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_falls_out_of_memory_comes_back_while_it_is_current() {
    for known in [Known::Here, Known::Elsewhere] {
        let site = Site::new(known);
        // More than fits: those that fall out lie beyond.
        for number in 0..200 {
            let text = format!("{number} {}", "x".repeat(700));
            site.ask(number, &text).await;
        }
        site.place.until(50).await;
        let num_kept = async {
            let mut num_kept = 0;
            for number in 0..200 {
                let (word, text) = site.ask(number, &format!("{number} evaluated")).await;
                assert!(text.starts_with(&format!("{number} ")), "{text:.20}");
                num_kept += usize::from(word == "kept");
            }
            num_kept
        };
        assert!(num_kept.await > 100, "{known:?}");
        site.world.write();
        for number in 0..200 {
            let (word, _) = site.ask(number, "after").await;
            assert_eq!(word, "evaluated", "nothing from before the write");
        }
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_beyond_once_and_then_in_memory() {
    let site = Site::new(Known::Here);
    site.put(&keep(1), "beyond").await;
    for _ in 0..3 {
        let served = site.ask(1, "evaluated").await;
        assert_eq!(served, ("kept", "beyond".to_owned()));
    }
    assert_eq!(site.place.num_asked(), 1);
    // Another process of the cluster starts with an empty memory.
    let other = cache_over(&site.world, &site.place, Some(1));
    let served = asked(&other, &keep(1), site.answer("evaluated")).await;
    assert_eq!(served, ("kept", "beyond".to_owned()));
}

#[tokio::test]
async fn nothing_of_another_cluster_or_request_is_taken_and_nothing_that_was_changed() {
    let site = Site::new(Known::Here);
    site.put(&keep(1), "beyond").await;
    let (name, value) = {
        let values = site.place.values.lock();
        let (name, value) = values.iter().next().expect("one");
        (name.clone(), value.clone())
    };
    assert!(
        !value.windows(6).any(|bytes| bytes == b"beyond"),
        "in the clear"
    );
    for at in 0..value.len() {
        let mut changed = value.to_vec();
        changed[at] ^= 0x20;
        site.place
            .values
            .lock()
            .insert(name.clone(), changed.into());
        let cache = cache_over(&site.world, &site.place, Some(1));
        let served = asked(&cache, &keep(1), site.answer("evaluated")).await;
        assert_eq!(served.0, "evaluated", "byte {at}");
    }
    // Under the name of another request, and by another cluster's secret.
    let sealing = |secret| secret_of(&state(Some(secret)), false).expect("a secret");
    let others = [
        (name_of(&sealing(1), &keep(2).key), 2, 1),
        (name_of(&sealing(2), &keep(1).key), 1, 2),
    ];
    for (name, number, secret) in others {
        site.place.values.lock().insert(name, value.clone());
        let cache = cache_over(&site.world, &site.place, Some(secret));
        let served = asked(&cache, &keep(number), site.answer("evaluated")).await;
        assert_eq!(served.0, "evaluated");
    }
}

#[tokio::test]
async fn answers_of_a_cluster_without_keys_stay_on_the_machine() {
    let world = World::new(Bug::None);
    for (is_remote, secret, num_asked) in [(true, None, 0), (false, None, 1), (true, Some(1), 1)] {
        let place = Arc::new(Place {
            is_remote,
            ..Place::default()
        });
        let cache = cache_over(&world, &place, secret);
        let answer = whole("one", Some(world.edition()));
        asked(&cache, &keep(1), answer).await;
        assert_eq!(place.num_asked(), num_asked, "{is_remote} {secret:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_silent_or_away_costs_a_miss_and_is_left_alone() {
    let site = Site::new(Known::Here);
    let ask = async |number| site.ask(number, "evaluated").await.0;
    for (is_silent, is_away) in [(true, false), (false, true)] {
        *site.place.is_silent.lock() = is_silent;
        *site.place.is_away.lock() = is_away;
        let before = site.place.num_asked();
        site.world.write();
        let started = tokio::time::Instant::now();
        for number in 0..20 {
            assert_eq!(ask(number).await, "evaluated");
        }
        assert_eq!(site.place.num_asked() - before, 3, "then it is left alone");
        assert!(started.elapsed() <= 3 * LOOKS_FOR + Duration::from_millis(10));
        tokio::time::advance(Duration::from_millis(1_001)).await;
        site.world.write();
        ask(1).await;
        assert_eq!(site.place.num_asked() - before, 4, "it is tried again");
        *site.place.is_silent.lock() = false;
        *site.place.is_away.lock() = false;
        tokio::time::advance(Duration::from_secs(2)).await;
        site.world.write();
        for number in 0..5 {
            ask(number).await;
        }
        assert_eq!(site.place.num_asked() - before, 9, "it is back");
    }
}

#[tokio::test]
async fn an_answer_that_says_to_be_larger_than_allowed_is_not_unpacked() {
    let site = Site::new(Known::Here);
    let secret = secret_of(&state(Some(1)), true).expect("a secret");
    let sealing = SealingKey::new(&secret).expect("a key");
    let key = keep(1).key;
    let kept = Kept { key, now_ms: 0 };
    let large = whole(&"x".repeat(2_000), Some(site.world.edition()));
    let entry = Entry::of(&large, site.world.edition());
    let value = sealed(&sealing, kept, &entry).expect("sealed");
    assert!(opened(&sealing, kept, &value, 2_000).is_some());
    assert!(opened(&sealing, kept, &value, 1_999).is_none());
}

#[tokio::test]
async fn parts_of_a_request_that_lie_beyond_are_not_fetched_and_the_others_by_one_call() {
    let site = Site::new(Known::Here);
    for number in [1, 4] {
        site.put(&keep(number), "beyond").await;
    }
    let keeps = [
        Some(keep(1)),
        Some(keep(2)),
        None,
        Some(keep(4)),
        Some(keep(5)),
    ];
    let calls = Mutex::new(Vec::new());
    let fetch = |wanted: Vec<usize>| {
        let answers = wanted.iter().map(|at| site.answer(&format!("of {at}")));
        let answers = answers.collect();
        calls.lock().push(wanted);
        async move { answers }
    };
    let served = site.cache.answer_each(&keeps, fetch).await;
    let texts = served.iter().map(|served| match served {
        Ok(Served::Kept(entry)) => entry.body.clone(),
        Ok(Served::Evaluated(answer)) => answer.body.clone(),
        other => panic!("{other:?}"),
    });
    let texts: Vec<Bytes> = texts.collect();
    assert_eq!(texts, ["beyond", "of 1", "of 2", "beyond", "of 4"]);
    assert_eq!(*calls.lock(), [vec![1, 2, 4]]);
}

#[tokio::test(start_paused = true)]
async fn who_shares_a_part_of_a_request_that_is_gone_before_its_call_is_not_left_waiting() {
    let site = Site::new(Known::Here);
    *site.place.is_silent.lock() = true;
    let asking = {
        let cache = Arc::clone(&site.cache);
        let never = |_| std::future::pending();
        tokio::spawn(async move { cache.answer_each(&[Some(keep(1))], never).await })
    };
    while site.place.num_asked() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = {
        let (cache, answer) = (Arc::clone(&site.cache), site.answer("its own"));
        tokio::spawn(async move { asked(&cache, &keep(1), answer).await })
    };
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    asking.abort();
    let served = waiting.await.expect("it ends");
    assert_eq!(served, ("evaluated", "its own".to_owned()));
}

#[tokio::test]
async fn large_answers_come_back_too() {
    let site = Site::new(Known::Here);
    // As packed as it gets, and still more than is opened where it arrives.
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let text: String = (0..60_000)
        .map(|_| char::from(random.random_range(b' '..=b'~')))
        .collect();
    let cache = {
        let state = state(Some(1));
        let options = CacheOptions {
            overflow: Some(OverflowOptions {
                beyond: Arc::clone(&site.place) as _,
                state: Arc::new(move || Some(Arc::clone(&state))),
            }),
            ..CacheOptions::new(|| 1_000_000)
        };
        Cache::new(options, Arc::clone(&site.world) as _)
    };
    site.put(&keep(1), &text).await;
    let lying = site.place.values.lock().values().map(Bytes::len).max();
    assert!(lying.is_some_and(|size| size > OPENED_AT_ONCE), "{lying:?}");
    let served = asked(&cache, &keep(1), site.answer("evaluated")).await;
    assert!(served == ("kept", text), "{}", served.0);
}
