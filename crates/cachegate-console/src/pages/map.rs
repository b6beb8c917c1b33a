//! The access map: who is on the left, the lanes on the right, and lines for who reads and writes where.

use askama::Template;
use cachegate_policy::WorkspaceSettings;
use cachegate_types::Lane;

use crate::words;

/// One who is in the picture.
pub(super) struct Line {
    pub(super) who: String,
    pub(super) reads: Vec<Lane>,
    pub(super) writes: Option<Lane>,
}

const ROW: usize = 40;
const TOP: usize = 46;
/// Between who and the lanes: narrow, so that both are seen on a telephone.
const BETWEEN: usize = 110;
/// How wide a letter is at most, about.
const LETTER: usize = 8;
/// How wide a lane is.
const BOX: usize = 180;

#[derive(Template)]
#[template(path = "map.html")]
struct Map {
    width: usize,
    height: usize,
    left: usize,
    right: usize,
    box_width: usize,
    who: Vec<(usize, String)>,
    lanes: Vec<(usize, String)>,
    reads: Vec<String>,
    writes: Vec<String>,
    told: String,
}

/// The picture, as SVG. What it shows stands in the table beside it as well.
pub(super) fn picture(settings: &WorkspaceSettings, lines: &[Line]) -> String {
    let lanes = lanes(settings, lines);
    let place = |lane: &Lane| lanes.iter().position(|one| one == lane).unwrap_or_default();
    let middle = |row: usize| TOP + row * ROW + ROW / 2;
    let who: Vec<String> = lines.iter().map(|line| cut(&line.who)).collect();
    let longest = who.iter().map(|text| text.chars().count()).max().unwrap_or_default();
    let left = (longest * LETTER + 20).max(120);
    let right = left + BETWEEN;
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for (row, line) in lines.iter().enumerate() {
        let path = |lane: &Lane| {
            let (from, to) = (middle(row), middle(place(lane)));
            let (one, other) = (left + BETWEEN / 2, right - BETWEEN / 2);
            format!("M{left} {from}C{one} {from} {other} {to} {right} {to}")
        };
        reads.extend(line.reads.iter().filter(|lane| line.writes.as_ref() != Some(lane)).map(path));
        writes.extend(line.writes.iter().map(path));
    }
    let rows = lines.len().max(lanes.len()).max(1);
    let map = Map {
        width: right + BOX + 10,
        height: TOP + rows * ROW + 12,
        left,
        right,
        box_width: BOX,
        who: who.into_iter().enumerate().map(|(row, who)| (middle(row), who)).collect(),
        lanes: lanes.iter().enumerate().map(|(row, lane)| (middle(row), cut(&lane.to_string()))).collect(),
        told: format!(
            "{} who may do this, and the {} lanes that they read and write",
            lines.len(),
            lanes.len()
        ),
        reads,
        writes,
    };
    map.render().unwrap_or_default()
}

/// The lanes that anybody reads or writes, and the shared ones, most trusted first.
fn lanes(settings: &WorkspaceSettings, lines: &[Line]) -> Vec<Lane> {
    let named = lines.iter().flat_map(|line| line.reads.iter().chain(&line.writes)).cloned();
    let mut all: Vec<Lane> = [Lane::release(), Lane::main(), Lane::dev()].into_iter().chain(named).collect();
    all.sort_by_key(|lane| (settings.lanes.rank(lane.class()), lane.to_string()));
    all.dedup();
    all
}

fn cut(text: &str) -> String {
    let text = words::shown(text);
    match text.char_indices().nth(34) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_once_in_the_picture_and_markup_is_text() {
        let pull: Lane = "pull/17".parse().expect("a lane");
        let line = Line {
            who: "<script>&".to_owned(),
            reads: vec![pull.clone(), Lane::release(), Lane::main()],
            writes: Some(pull),
        };
        let text = picture(&WorkspaceSettings::default(), &[line]);
        assert!(!text.contains("<script") && text.contains("&#60;script"), "{text}");
        assert_eq!(text.matches("class=\"reads\"").count(), 1 + 2, "two lanes, and the key");
        assert_eq!(text.matches("class=\"writes\"").count(), 1 + 1);
        assert_eq!(text.matches(">main<").count(), 1);
    }
}
