//! Runners over the same queries, turn by turn, so that other work on the machine meets them alike.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::queries::{Class, Query};

/// Times each query is answered in a row, after a first one.
const IN_A_ROW: usize = 4;

/// One way to answer all queries.
pub struct Runner<'a> {
    /// Its column in tables.
    pub name: &'static str,
    /// Answers the query at a position; returns how many hits or matches, so nothing is optimised
    /// away.
    pub answer: Box<dyn FnMut(usize) -> u64 + 'a>,
}

/// What a runner took for the queries of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Mean over the queries of each one's best time on the clock, µs.
    pub wall_us: f64,
    /// CPU time of the process per query, µs: the best round over the class.
    pub cpu_us: f64,
    /// The same of the first answers: other runners have used the caches in between.
    pub first_cpu_us: f64,
    /// Median over the queries of each one's best time, µs.
    pub p50_us: f64,
}

/// Figures by runner and class.
pub type Results = BTreeMap<&'static str, BTreeMap<Class, Figures>>;

/// Lets all runners answer all `queries`, `rounds` times after one to warm up.
///
/// Each query is answered five times in a row. The first answer brings the runner's own data into the
/// caches, where the runner before has left its; its CPU time is told apart. Of the others a query
/// counts with its best time (as in the search-benchmark-game): the rest is other work on the machine.
/// CPU time is that of the whole process, threads of pools included.
pub fn run(queries: &[Query], rounds: usize, runners: &mut [Runner<'_>]) -> Results {
    let classes: BTreeSet<Class> = queries.iter().map(|query| query.class).collect();
    let mut best: Vec<Vec<Duration>> = vec![vec![Duration::MAX; queries.len()]; runners.len()];
    let mut cpu: Vec<BTreeMap<Class, Cpu>> = vec![BTreeMap::new(); runners.len()];
    for round in 0..=rounds {
        for (number, runner) in runners.iter_mut().enumerate() {
            for &class in &classes {
                let spent = pass(queries, class, runner, &mut best[number]);
                let least = cpu[number].entry(class).or_insert(spent);
                // The first round fills what is kept between queries: it does not count.
                *least = if round > 1 { least.min(spent) } else { spent };
            }
        }
    }
    let mut results = Results::new();
    for (number, runner) in runners.iter().enumerate() {
        let by_class = classes.iter().map(|&class| {
            let times = queries
                .iter()
                .zip(&best[number])
                .filter(|(query, _)| query.class == class);
            let mut times: Vec<f64> = times.map(|(_, time)| time.as_secs_f64() * 1e6).collect();
            times.sort_by(f64::total_cmp);
            let figures = Figures {
                wall_us: times.iter().sum::<f64>() / times.len().max(1) as f64,
                cpu_us: cpu[number][&class].warm_us,
                first_cpu_us: cpu[number][&class].first_us,
                p50_us: times.get(times.len() / 2).copied().unwrap_or_default(),
            };
            (class, figures)
        });
        results.insert(runner.name, by_class.collect());
    }
    results
}

/// CPU time per answer of a class in one round, µs.
#[derive(Clone, Copy)]
struct Cpu {
    first_us: f64,
    warm_us: f64,
}

impl Cpu {
    fn min(self, other: Self) -> Self {
        Self {
            first_us: self.first_us.min(other.first_us),
            warm_us: self.warm_us.min(other.warm_us),
        }
    }
}

fn pass(queries: &[Query], class: Class, runner: &mut Runner<'_>, best: &mut [Duration]) -> Cpu {
    let (mut num_queries, mut first, mut warm) = (0, Duration::ZERO, Duration::ZERO);
    for position in (0..queries.len()).filter(|&position| queries[position].class == class) {
        let begin = process_cpu();
        std::hint::black_box((runner.answer)(position));
        let filled = process_cpu();
        for _ in 0..IN_A_ROW {
            let start = Instant::now();
            std::hint::black_box((runner.answer)(position));
            best[position] = best[position].min(start.elapsed());
        }
        first += filled - begin;
        warm += process_cpu() - filled;
        num_queries += 1;
    }
    let per_answer = |spent: Duration, num: usize| spent.as_secs_f64() * 1e6 / num.max(1) as f64;
    Cpu {
        first_us: per_answer(first, num_queries),
        warm_us: per_answer(warm, num_queries * IN_A_ROW),
    }
}

/// Returns the geometric mean of `ratios`; 0 for none.
pub fn geometric_mean(ratios: &[f64]) -> f64 {
    if ratios.is_empty() {
        return 0.0;
    }
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (logarithms / ratios.len() as f64).exp()
}

/// Returns the CPU time of this process, all threads together.
pub fn process_cpu() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(tv_sec.unsigned_abs(), tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_ratio_and_its_inverse_is_one() {
        assert!((geometric_mean(&[4.0, 0.25]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_runner_answers_every_query_in_every_round() {
        let query = |class| Query {
            class,
            terms: vec!["a".into()],
            filter: None,
        };
        let queries = [query(Class::Or), query(Class::Term), query(Class::Or)];
        let mut answered = vec![0; queries.len()];
        let answer = Box::new(|position: usize| {
            answered[position] += 1;
            0
        });
        let mut runners = [Runner {
            name: "one",
            answer,
        }];
        let results = run(&queries, 4, &mut runners);
        assert_eq!(results["one"].len(), 2);
        drop(runners);
        assert_eq!(answered, [5 * (1 + IN_A_ROW); 3]);
    }
}
