//! Line charts as SVG: axes, grid, lines that differ by dash as well as by colour, a title and a description for those who cannot see them.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 40.0;
/// Points of one line; more could not be told apart at this width.
const POINTS_MAX: usize = 1_000;

/// One line.
pub(super) struct Line<'a> {
    pub name: &'a str,
    /// Not a number: nothing to show there, and the line is broken.
    pub points: Vec<(f64, f64)>,
}

/// How values lie on an axis.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Evenly, from 0.
    Even,
    /// By powers of ten.
    Powers,
}

/// A chart.
pub(super) struct Chart<'a> {
    /// Unique on the page: letters only.
    pub id: &'a str,
    pub title: &'a str,
    pub description: String,
    pub x: &'a str,
    pub y: &'a str,
    pub y_scale: Scale,
    /// Marks on the x axis; empty: even ones are found.
    pub x_marks: Vec<(f64, String)>,
    /// Begins of stretches, with their names.
    pub stretches: Vec<(f64, String)>,
    pub lines: Vec<Line<'a>>,
}

impl Chart<'_> {
    /// As an SVG element with a legend below.
    pub fn draw(&self) -> String {
        let values = || self.lines.iter().flat_map(|line| &line.points).filter(|point| !point.1.is_nan());
        let x_max = self.lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max).max(1e-9);
        let y_most = values().map(|point| point.1).fold(0.0, f64::max);
        let y_least = values().map(|point| point.1).filter(|y| *y > 0.0).fold(f64::INFINITY, f64::min);
        let marks = match self.y_scale {
            Scale::Even => even_marks(y_most),
            Scale::Powers => power_marks(y_least, y_most),
        };
        let (low, high) = (marks.first().copied().unwrap_or(0.0), marks.last().copied().unwrap_or(1.0));
        let across = |x: f64| LEFT + x / x_max * (WIDTH - LEFT - RIGHT);
        let up = |y: f64| {
            let share = match self.y_scale {
                Scale::Even => y / high.max(1e-12),
                Scale::Powers => (y.max(low) / low).log10() / (high / low).log10().max(1e-12),
            };
            HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
        };
        let id = self.id;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title {id}-description\">\
             <title id=\"{id}-title\">{}</title><desc id=\"{id}-description\">{}</desc>",
            escape(self.title),
            escape(&self.description)
        );
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
        for mark in &marks {
            let y = up(*mark);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                number(*mark)
            );
        }
        let even = even_marks(x_max).into_iter().filter(|mark| *mark <= x_max).map(|mark| (mark, number(mark)));
        let x_marks: Vec<_> = if self.x_marks.is_empty() { even.collect() } else { self.x_marks.clone() };
        for (at, name) in x_marks.iter().filter(|(at, _)| *at <= x_max * 1.001) {
            let x = across(*at);
            // The last one would stand over the edge.
            let anchor = if x > right - 20.0 { "end" } else { "middle" };
            let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>", bottom + 16.0, escape(name));
        }
        for (begin, name) in &self.stretches {
            let x = across(*begin);
            // No name has room at the very end.
            let name = if x > right - 40.0 { "" } else { name };
            let _ = write!(
                svg,
                "<line class=\"stretch\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text class=\"stretch\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 3.0,
                TOP + 10.0,
                escape(name)
            );
        }
        for (index, line) in self.lines.iter().enumerate() {
            let step = line.points.len().div_ceil(POINTS_MAX).max(1);
            for part in line.points.split(|point| point.1.is_nan()).filter(|part| !part.is_empty()) {
                let points = part.chunks(step).map(highest).map(|(x, y)| format!("{:.1},{:.1}", across(x), up(y)));
                let mut points = points.collect::<Vec<_>>().join(" ");
                if let [(x, y)] = *part {
                    // One point alone makes no line.
                    let _ = write!(points, " {:.1},{:.1}", across(x) - 2.0, up(y));
                }
                let _ = write!(svg, "<polyline class=\"line l{index}\" points=\"{points}\"/>");
            }
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text x=\"4\" y=\"12\">{}</text></svg>",
            (left + right) / 2.0,
            HEIGHT - 6.0,
            escape(self.x),
            escape(self.y)
        );
        let keys = self.lines.iter().enumerate().map(|(index, line)| {
            format!(
                "<span class=\"key\"><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><line class=\"line l{index}\" x1=\"0\" x2=\"28\" y1=\"4\" y2=\"4\"/></svg> {}</span>",
                escape(line.name)
            )
        });
        format!("{svg}<div class=\"legend\">{}</div>", keys.collect::<String>())
    }
}

/// Of points that fall together the highest: a peak must not vanish.
fn highest(points: &[(f64, f64)]) -> (f64, f64) {
    points.iter().copied().fold((0.0, f64::NEG_INFINITY), |best, point| if point.1 > best.1 { point } else { best })
}

/// From 0 to the first round number that is not less.
fn even_marks(most: f64) -> Vec<f64> {
    let most = if most > 0.0 { most } else { 1.0 };
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough).unwrap_or(rough);
    let count = (most / step).ceil() as u64;
    (0..=count).map(|index| index as f64 * step).collect()
}

fn power_marks(least: f64, most: f64) -> Vec<f64> {
    if !least.is_finite() || most <= 0.0 {
        return vec![0.1, 1.0];
    }
    let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    (from..=to.max(from + 1)).map(|power| 10f64.powi(power)).collect()
}

fn number(value: f64) -> String {
    if value >= 1e6 {
        format!("{} M", value / 1e6)
    } else if value >= 1e4 {
        format!("{} k", value / 1e3)
    } else {
        // Enough digits for every step, none that only rounding made.
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Text within HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_cover_everything() {
        assert_eq!(even_marks(9.3), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(even_marks(0.0).last(), Some(&1.0));
        assert_eq!(power_marks(0.3, 40.0), [0.1, 1.0, 10.0, 100.0]);
    }

    #[test]
    fn a_chart_without_anything_is_still_a_chart() {
        for y_scale in [Scale::Even, Scale::Powers] {
            let lines = vec![Line { name: "<none>", points: Vec::new() }];
            let chart = Chart {
                id: "a",
                title: "t",
                description: String::new(),
                x: "x",
                y: "y",
                y_scale,
                x_marks: Vec::new(),
                stretches: Vec::new(),
                lines,
            };
            let drawn = chart.draw();
            assert!(drawn.contains("&lt;none&gt;") && !drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        }
    }
}
