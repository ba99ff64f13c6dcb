//! Latency against offered load, as an SVG.

use std::path::Path;

use plotters::prelude::*;
use serde::Serialize;

use crate::latency::Percentiles;

/// What one rate gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Calls a second that were due.
    pub offered_per_second: f64,
    /// Good answers a second.
    pub good_per_second: f64,
    /// How long they took, from when they were due.
    pub latency: Percentiles,
}

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the plot could not be drawn: {0}")]
pub struct PlotError(String);

/// The curves: their names, colours and quantiles.
type Curve = (&'static str, RGBColor, fn(&Percentiles) -> u64);
const CURVES: [Curve; 4] = [
    ("p50", RGBColor(0x1b, 0x6c, 0xa8), |found| found.p50_us),
    ("p90", RGBColor(0x2a, 0x9d, 0x5c), |found| found.p90_us),
    ("p99", RGBColor(0xd9, 0x8e, 0x04), |found| found.p99_us),
    ("p99.9", RGBColor(0xc0, 0x39, 0x2b), |found| found.p999_us),
];

/// Draws the percentiles of each point over its offered load, in milliseconds on a logarithmic scale.
///
/// # Errors
/// [`PlotError`] when the file cannot be written or there is no point.
pub fn draw(path: &Path, title: &str, points: &[Point]) -> Result<(), PlotError> {
    if points.is_empty() {
        return Err(PlotError("there is nothing to draw".to_owned()));
    }
    curves(path, title, points).map_err(|error| PlotError(error.to_string()))
}

fn curves(path: &Path, title: &str, points: &[Point]) -> Result<(), Box<dyn std::error::Error>> {
    let millis = |micros: u64| f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1e3;
    let far = points.iter().map(|point| point.offered_per_second);
    let far = far.fold(0.0, f64::max) * 1.05;
    let heights = || {
        points
            .iter()
            .flat_map(|point| CURVES.map(|(.., of)| millis(of(&point.latency))))
    };
    let high = heights().fold(0.0, f64::max) * 1.5;
    let low = heights().fold(high, f64::min) / 1.5;
    let root = SVGBackend::new(path, (900, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..far, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("calls offered per second")
        .y_desc("milliseconds from the intended send time")
        .y_label_formatter(&|value| format!("{value:.2}"))
        .x_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    for (name, colour, of) in CURVES {
        let places: Vec<(f64, f64)> = points
            .iter()
            .map(|point| (point.offered_per_second, millis(of(&point.latency))))
            .collect();
        chart
            .draw_series(LineSeries::new(places.clone(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        let dots = places
            .into_iter()
            .map(|place| Circle::new(place, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plot_is_an_svg_with_all_curves() {
        let latency = |factor: u64| Percentiles {
            p50_us: 100 * factor,
            p90_us: 200 * factor,
            p99_us: 500 * factor,
            p999_us: 900 * factor,
            max_us: 1_000 * factor,
            mean_us: 1.0,
        };
        let points = [(1_000.0, 1_u64), (2_000.0, 4)].map(|(rate, factor)| Point {
            offered_per_second: rate,
            good_per_second: rate,
            latency: latency(factor),
        });
        let path = std::env::temp_dir().join(format!("gavah-plot-{}.svg", std::process::id()));
        draw(&path, "ValidateCode", &points).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("ValidateCode"));
        for name in ["p50", "p90", "p99", "p99.9"] {
            assert!(svg.contains(name), "{name}");
        }
        assert!(draw(&path, "nothing", &[]).is_err());
    }
}
