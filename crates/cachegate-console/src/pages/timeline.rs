//! When what was done: a picture of one page of the audit.

use askama::Template;
use cachegate_types::Timestamp;

use crate::words;

const COLUMNS: usize = 40;
const WIDTH: usize = 720;
const HEIGHT: usize = 130;
const BASE: usize = 104;
const TALL: usize = 90;

#[derive(Template)]
#[template(path = "timeline.html")]
struct Timeline {
    width: usize,
    height: usize,
    base: usize,
    columns: Vec<Column>,
    from: String,
    to: String,
    told: String,
}

struct Column {
    x: usize,
    y: usize,
    height: usize,
    width: usize,
    told: String,
}

/// The picture, as SVG; `None` where nothing was done.
pub(super) fn picture(moments: &[Timestamp]) -> Option<String> {
    let (first, last) = (*moments.iter().min()?, *moments.iter().max()?);
    let span = usize::try_from(last.since(first).as_secs()).unwrap_or(usize::MAX).saturating_add(1);
    let mut counts = [0_usize; COLUMNS];
    for moment in moments {
        let at = usize::try_from(moment.since(first).as_secs()).unwrap_or(usize::MAX);
        let column = at.saturating_mul(COLUMNS) / span;
        if let Some(count) = counts.get_mut(column) {
            *count += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(1).max(1);
    let width = WIDTH / COLUMNS;
    let columns = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(index, count)| {
        let height = (count * TALL).div_ceil(most);
        let since = u64::try_from(index.saturating_mul(span) / COLUMNS).unwrap_or(0);
        let at = first.saturating_add(std::time::Duration::from_secs(since));
        Column {
            x: index * width + 1,
            y: BASE - height,
            height,
            width: width - 2,
            told: format!("{count} from {}", words::moment(at)),
        }
    });
    let timeline = Timeline {
        width: WIDTH,
        height: HEIGHT,
        base: BASE,
        columns: columns.collect(),
        from: words::moment(first),
        to: words::moment(last),
        told: format!("{} acts from {} to {}", moments.len(), words::moment(first), words::moment(last)),
    };
    timeline.render().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_act_is_counted_in_one_column_whatever_the_span() {
        assert_eq!(picture(&[]), None);
        for moments in [vec![5_u32], vec![5, 5, 5], vec![0, 1], vec![0, u32::MAX], (0..1000).collect()] {
            let moments: Vec<Timestamp> = moments.into_iter().map(Timestamp::from).collect();
            let text = picture(&moments).expect("a picture");
            let counted: usize = text
                .split("<title>")
                .skip(1)
                .filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok())
                .sum();
            assert_eq!(counted, moments.len(), "{text}");
        }
    }
}
