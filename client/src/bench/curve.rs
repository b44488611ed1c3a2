//! A picture of latencies: percentiles to the right, each step a tenth of the requests that are left.

use std::fmt::Write;

use super::latency::Latencies;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Points of a curve between two powers of ten.
const STEPS: u32 = 25;

const COLOURS: [&str; 2] = ["#c2410c", "#1d4ed8"];

/// Draws named curves as SVG. The horizontal axis is log10(1 / (1 − quantile)), the vertical one
/// log10 of milliseconds.
pub(super) fn draw(curves: &[(&str, &Latencies)]) -> String {
    let frame = Frame::around(curves);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    frame.draw_grid(&mut svg);
    for (place, (name, latencies)) in curves.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let points = frame.points(latencies);
        let x = LEFT + 200.0 * place as f64;
        push(
            &mut svg,
            format_args!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{points}\"/>\n\
                 <text x=\"{x}\" y=\"24\" fill=\"{colour}\">{name}</text>\n"
            ),
        );
    }
    svg + "</svg>\n"
}

/// The decades that the picture covers.
struct Frame {
    /// Powers of ten of requests: 3 when the last step is one of a thousand.
    num_nines: u32,
    /// Power of ten of milliseconds at the bottom.
    lowest: i32,
    /// And at the top.
    highest: i32,
}

impl Frame {
    fn around(curves: &[(&str, &Latencies)]) -> Self {
        let largest = curves.iter().map(|(_, latencies)| latencies.number()).max();
        let figures = || {
            curves
                .iter()
                .filter_map(|(_, latencies)| latencies.figures())
        };
        // A microsecond is the least that is told apart.
        let decade = |ms: f64| ms.max(1e-3).log10();
        let lowest = figures()
            .map(|figures| decade(figures.min))
            .reduce(f64::min);
        let highest = figures()
            .map(|figures| decade(figures.max))
            .reduce(f64::max);
        let lowest = lowest.unwrap_or(0.0).floor() as i32;
        Self {
            num_nines: largest.unwrap_or(0).max(10).ilog10(),
            lowest,
            highest: (highest.unwrap_or(0.0).ceil() as i32).max(lowest + 1),
        }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * nines / f64::from(self.num_nines)
    }

    fn y(&self, ms: f64) -> f64 {
        let decade = ms.max(1e-3).log10() - f64::from(self.lowest);
        let share = decade / f64::from(self.highest - self.lowest);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
    }

    /// Returns the points of a curve: `x,y x,y …`.
    fn points(&self, latencies: &Latencies) -> String {
        let mut points = String::new();
        if latencies.number() == 0 {
            return points;
        }
        for step in 0..=self.num_nines * STEPS {
            let nines = f64::from(step) / f64::from(STEPS);
            let ms = latencies.at_quantile(1.0 - 10_f64.powf(-nines));
            push(
                &mut points,
                format_args!("{:.1},{:.1} ", self.x(nines), self.y(ms)),
            );
        }
        points
    }

    fn draw_grid(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for nines in 0..=self.num_nines {
            let x = self.x(nines.into());
            push(
                svg,
                format_args!(
                    "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#dddddd\"/>\
                     <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    bottom + 18.0,
                    percentile(nines)
                ),
            );
        }
        for decade in self.lowest..=self.highest {
            let y = self.y(10_f64.powi(decade));
            push(
                svg,
                format_args!(
                    "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#dddddd\"/>\
                     <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                    LEFT - 8.0,
                    y + 4.0,
                    10_f64.powi(decade)
                ),
            );
        }
        let (middle, below) = ((LEFT + right) / 2.0, HEIGHT - 10.0);
        push(
            svg,
            format_args!(
                "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">percentile</text>\
                 <text x=\"12\" y=\"24\">ms</text>\n"
            ),
        );
    }
}

/// Writes the percentile of so many nines: 0 %, 90 %, 99 %, 99.9 %.
fn percentile(nines: u32) -> String {
    match nines {
        0 => "0%".to_owned(),
        1 => "90%".to_owned(),
        2 => "99%".to_owned(),
        more => format!("99.{}%", "9".repeat(more as usize - 2)),
    }
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn latencies(ms: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        for ms in ms {
            latencies.add(Duration::from_millis(ms));
        }
        latencies
    }

    /// Returns the points of each curve.
    fn curves(svg: &str) -> Vec<Vec<(f64, f64)>> {
        let point = |text: &str| {
            let (x, y) = text.split_once(',').expect("x,y");
            (x.parse().expect("x"), y.parse().expect("y"))
        };
        svg.split("points=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().expect("closed"))
            .map(|points| points.split_whitespace().map(point).collect())
            .collect()
    }

    #[test]
    fn curves_rise_to_the_right_within_the_frame() {
        let (slow, fast) = (
            latencies((1..=1_000).map(|ms| ms.min(990))),
            latencies(std::iter::repeat_n(2, 1_000)),
        );
        let svg = draw(&[("slow", &slow), ("fast", &fast)]);
        let curves = curves(&svg);
        assert_eq!(curves.len(), 2);
        for curve in &curves {
            assert_eq!(curve.len(), 76);
            let inside = |(x, y): &(f64, f64)| {
                (LEFT..=WIDTH - RIGHT).contains(x) && (TOP..=HEIGHT - BOTTOM).contains(y)
            };
            assert!(curve.iter().all(inside), "{curve:?}");
            let rises = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 >= pair[1].1;
            assert!(curve.windows(2).all(rises), "{curve:?}");
        }
        // 2 ms lies at log10(2) of the first of three decades.
        let expected = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * 2_f64.log10() / 3.0;
        assert!(
            (curves[1][10].1 - expected).abs() < 1.0,
            "{:?}",
            curves[1][10]
        );
        for label in [">slow<", ">99.9%<", ">1000<", ">1<"] {
            assert!(svg.contains(label), "{label}");
        }
    }

    #[test]
    fn a_run_without_answers_is_an_empty_picture() {
        let nothing = latencies([]);
        let svg = draw(&[("nothing", &nothing)]);
        assert!(svg.contains("points=\"\"") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
