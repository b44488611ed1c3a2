//! Digits of a number, as many as a pattern asks for.

/// Most digits before the point that a pattern asks for; `DecimalFormat`'s limit for doubles.
pub(super) const MAX_WHOLE: usize = 309;
/// Most digits after the point; `DecimalFormat`'s limit for doubles.
pub(super) const MAX_DECIMALS: usize = 340;

/// The digits of a pattern.
pub(super) struct Shape {
    /// Digits before the point, at least.
    pub(super) min_whole: usize,
    /// Digits before the point of a number with an exponent, at most.
    pub(super) max_whole: usize,
    /// Digits behind the point, at least.
    pub(super) min_decimals: usize,
    /// Digits behind the point, at most.
    pub(super) max_decimals: usize,
    /// Digits of a group; 0 is no groups.
    pub(super) group: usize,
    /// Whether whole numbers have a point, too.
    pub(super) shows_point: bool,
    /// Digits of the exponent, at least; `None` writes numbers without.
    pub(super) exponent: Option<usize>,
}

/// A number that is not negative: 0.DIGITS times a power of ten.
struct Digits {
    /// Neither the first nor the last is zero; those of 0 are none.
    text: String,
    /// The power; 0 of 0.
    point: isize,
}

impl Digits {
    /// Reads `1234.5` or `1.2345E3`.
    fn read(text: &str) -> Self {
        let (number, exponent) = text.split_once('E').unwrap_or((text, "0"));
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let all = format!("{whole}{decimals}");
        let digits = all.trim_start_matches('0');
        if digits.is_empty() {
            return Self {
                text: String::new(),
                point: 0,
            };
        }
        let num_leading = all.len() - digits.len();
        let exponent: isize = exponent.parse().unwrap_or(0);
        Self {
            text: digits.trim_end_matches('0').to_owned(),
            point: whole.len() as isize - num_leading as isize + exponent,
        }
    }
}

impl Shape {
    /// Writes a finite number that is not negative.
    ///
    /// Its digits are the fewest that tell it apart. Of these as many as the pattern asks for are left by rounding the
    /// exact binary value, ties to even: what `DecimalFormat`'s `HALF_EVEN` does.
    pub(super) fn double(&self, value: f64) -> String {
        let shortest = Digits::read(&format!("{value:E}"));
        let num_digits = shortest.text.len();
        if let Some(width) = self.exponent {
            let most = self.max_whole + self.max_decimals;
            return match num_digits > most {
                true => {
                    let rounded = format!("{value:.*E}", most.saturating_sub(1));
                    self.scientific(&Digits::read(&rounded), width)
                }
                false => self.scientific(&shortest, width),
            };
        }
        match num_digits as isize - shortest.point > self.max_decimals as isize {
            true => self.fixed(&Digits::read(&format!("{value:.*}", self.max_decimals))),
            false => self.fixed(&shortest),
        }
    }

    /// Writes a whole number.
    pub(super) fn whole(&self, value: u128) -> String {
        match self.exponent {
            Some(_) => self.double(value as f64),
            None => self.fixed(&Digits::read(&value.to_string())),
        }
    }

    /// Writes a number that has no more decimals than there may be.
    fn fixed(&self, number: &Digits) -> String {
        let point = usize::try_from(number.point).unwrap_or(0);
        let (whole, decimals) = number.text.split_at(point.min(number.text.len()));
        let whole = format!("{whole:0<point$}");
        let whole = self.grouped(&format!("{whole:0>width$}", width = self.min_whole));
        let num_zeros = usize::try_from(-number.point).unwrap_or(0);
        let decimals = format!("{}{decimals}", "0".repeat(num_zeros));
        let decimals = format!("{decimals:0<width$}", width = self.min_decimals);
        match whole.is_empty() && decimals.is_empty() {
            // A number has a digit, whatever the pattern.
            true => self.joined("0", ""),
            false => self.joined(&whole, &decimals),
        }
    }

    /// Writes a number with an exponent of at least `width` digits. Where there may be more digits before the point than
    /// there must be, as in `##0.#E0`, exponents are multiples of how many there may be.
    fn scientific(&self, number: &Digits, width: usize) -> String {
        let is_zero = number.text.is_empty();
        let has_steps = self.max_whole > self.min_whole.max(1);
        let exponent = match has_steps {
            _ if is_zero => 0,
            true => {
                let step = self.max_whole as isize;
                (number.point - 1).div_euclid(step) * step
            }
            false => number.point - self.min_whole as isize,
        };
        let num_whole = match is_zero {
            true if has_steps => 1,
            true => self.min_whole,
            false => usize::try_from(number.point - exponent).unwrap_or(0),
        };
        let num_digits = num_whole.max(self.min_whole + self.min_decimals);
        let digits = format!("{:0<num_digits$}", number.text);
        let (whole, decimals) = digits.split_at(num_whole);
        let sign = if exponent < 0 { "-" } else { "" };
        let exponent = exponent.unsigned_abs();
        format!("{}E{sign}{exponent:0>width$}", self.joined(whole, decimals))
    }

    fn joined(&self, whole: &str, decimals: &str) -> String {
        match decimals.is_empty() && !self.shows_point {
            true => whole.to_owned(),
            false => format!("{whole}.{decimals}"),
        }
    }

    fn grouped(&self, digits: &str) -> String {
        if self.group == 0 {
            return digits.to_owned();
        }
        let mut out = String::with_capacity(digits.len() * 2);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(self.group) {
                out.push(',');
            }
            out.push(digit);
        }
        out
    }
}
