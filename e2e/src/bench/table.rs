//! The table that `make bench` prints.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

/// Figures in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

#[derive(Debug)]
struct Row {
    size: usize,
    what: &'static str,
    unit: &'static str,
    figure: f64,
    peer: Option<f64>,
    aim: Option<f64>,
}

/// A count as a figure.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub(super) fn fixed(count: usize) -> f64 {
    count as f64
}

impl Table {
    /// Adds a figure for `size` pairs, with the peer's and the most that we aim for, where there
    /// are such.
    pub(super) fn row(
        &mut self,
        size: usize,
        what: &'static str,
        unit: &'static str,
        figure: f64,
        peer: Option<f64>,
        aim: Option<f64>,
    ) {
        let known = |figure: Option<f64>| figure.filter(|figure| !figure.is_nan());
        let row = Row {
            size,
            what,
            unit,
            figure,
            peer: known(peer),
            aim: known(aim),
        };
        println!("  {}", row.line());
        self.0.push(row);
    }

    /// Prints all of them and saves them as JSON.
    pub(super) fn print(&self, path: &Path) -> Result<()> {
        println!(
            "\n{:<56} {:>5} {:>12} {:>9} {:>9}  of the aim",
            "figure", "N", "ours", "ACK", "aim"
        );
        for row in &self.0 {
            println!("{}", row.line());
        }
        let rows: Vec<_> = self.0.iter().map(Row::json).collect();
        super::save(path, &rows)?;
        println!(
            "\nas JSON: {}",
            path.file_name().unwrap_or_default().display()
        );
        Ok(())
    }
}

impl Row {
    fn line(&self) -> String {
        let Self {
            size,
            what,
            unit,
            figure,
            peer,
            aim,
        } = self;
        let cell = |figure: Option<f64>| {
            figure.map_or_else(
                || "–".to_owned(),
                |figure| format!("{}", (figure * 100.0).round() / 100.0),
            )
        };
        let judgement = match aim {
            Some(aim) if *aim > 0.0 => {
                format!(
                    "{:.2}{}",
                    figure / aim,
                    if figure > aim { "  missed" } else { "" }
                )
            }
            Some(_) if *figure > 0.0 => "missed".to_owned(),
            Some(_) => "met".to_owned(),
            None => String::new(),
        };
        let ours = format!("{figure:.2} {unit}");
        format!(
            "{what:<56} {size:>5} {:>12} {:>9} {:>9}  {judgement}",
            ours.trim_end(),
            cell(*peer),
            cell(*aim)
        )
    }

    fn json(&self) -> Value {
        let Self {
            size,
            what,
            unit,
            figure,
            peer,
            aim,
        } = self;
        json!({"size": size, "what": what, "unit": unit, "figure": figure, "ack": peer, "aim": aim})
    }
}
