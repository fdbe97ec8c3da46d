//! Best one-to-one assignment (the Hungarian method): who of these is who of those.

/// For each row of `gain` the column that it gets, so that the sum of gains is greatest; each column at most once. A row gets
/// none where that is better than any column left (gains of zero and below are never taken). Rows must be equally long.
/// O(n³) for n rows and columns together; gains must be finite.
pub fn best(gain: &[Vec<f64>]) -> Vec<Option<usize>> {
    let rows = gain.len();
    let columns = gain.first().map_or(0, Vec::len);
    // A square of costs: worthless pairs cost as much as none at all, so that everyone can be paired.
    let size = rows.max(columns);
    let cost = |row: usize, column: usize| -> f64 {
        gain.get(row).and_then(|r| r.get(column)).map_or(0.0, |gain| -gain.max(0.0))
    };
    // Potentials and shortest augmenting paths; index 0 is a stand-in, rows and columns count from 1.
    let (mut row_potential, mut column_potential) = (vec![0.0; size + 1], vec![0.0; size + 1]);
    let mut row_of = vec![0; size + 1];
    for row in 1..=size {
        row_of[0] = row;
        let mut column = 0;
        let mut way = vec![0; size + 1];
        let mut slack = vec![f64::INFINITY; size + 1];
        let mut done = vec![false; size + 1];
        while row_of[column] != 0 {
            done[column] = true;
            let from = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for other in (1..=size).filter(|c| !done[*c]) {
                let reduced = cost(from - 1, other - 1) - row_potential[from] - column_potential[other];
                if reduced < slack[other] {
                    slack[other] = reduced;
                    way[other] = column;
                }
                if slack[other] < step {
                    step = slack[other];
                    next = other;
                }
            }
            for other in 0..=size {
                if done[other] {
                    row_potential[row_of[other]] += step;
                    column_potential[other] -= step;
                } else {
                    slack[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            let before = way[column];
            row_of[column] = row_of[before];
            column = before;
        }
    }
    let mut given = vec![None; rows];
    for column in 1..=columns {
        let row = row_of[column] - 1;
        if row < rows && gain[row][column - 1] > 0.0 {
            given[row] = Some(column - 1);
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn greatest(gain: &[Vec<f64>], row: usize, used: u32) -> f64 {
        if row == gain.len() {
            return 0.0;
        }
        let mut best = greatest(gain, row + 1, used);
        for column in 0..gain[row].len() {
            if used & 1 << column == 0 {
                best = best.max(gain[row][column] + greatest(gain, row + 1, used | 1 << column));
            }
        }
        best
    }

    fn tables() -> impl Strategy<Value = Vec<Vec<f64>>> {
        (0..5usize, 0..6usize)
            .prop_flat_map(|(rows, columns)| prop::collection::vec(prop::collection::vec(-2.0..5.0f64, columns), rows))
    }

    proptest! {
        #[test]
        fn no_other_assignment_is_better_and_none_is_given_twice(gain in tables()) {
            let given = best(&gain);
            prop_assert_eq!(given.len(), gain.len());
            let mut columns: Vec<usize> = given.iter().flatten().copied().collect();
            let sum: f64 = given.iter().enumerate().filter_map(|(r, c)| Some(gain[r][(*c)?])).sum();
            prop_assert!((sum - greatest(&gain, 0, 0)).abs() < 1e-9);
            columns.sort_unstable();
            columns.dedup();
            prop_assert_eq!(columns.len(), given.iter().flatten().count());
        }
    }
}
