// Small matrices, row by row: what the rules of a table's numbers need.

export type Matrix = number[][];

/** Of what is left of the largest entry, rounding. */
const NOTHING = 1e-10;

/** The columns of a matrix at some places. */
export const columnsOf = (a: Matrix, places: number[]): Matrix => a.map((row) => places.map((k) => row[k]));

export function rank(a: Matrix): number {
  return reduced(a).pivots.length;
}

/** The inverse of a square matrix. */
export function inverse(a: Matrix): Matrix {
  const n = a.length;
  const beside = a.map((row, k) => [...row, ...row.map((_, j) => Number(j === k))]);
  return reduced(beside, n).rows.map((row) => row.slice(n));
}

/** The pseudoinverse, `(columns, rows)`: C' (C C')^-1 (B' B)^-1 B' of a = B C, both of full rank. */
export function pseudoInverse(a: Matrix, columns: number): Matrix {
  const { rows: c, pivots } = reduced(a), b = columnsOf(a, pivots);
  if (!pivots.length) return Array.from({ length: columns }, () => a.map(() => 0));
  const right = times(turned(c), inverse(times(c, turned(c))));
  return times(right, times(inverse(times(turned(b), b)), turned(b)));
}

/** Gauss and Jordan: the rows that are left, each with a 1 where all others have 0, at its pivot. */
function reduced(a: Matrix, most = a[0]?.length ?? 0): { rows: Matrix; pivots: number[] } {
  const rows = a.map((row) => [...row]), pivots: number[] = [];
  const largest = Math.max(0, ...rows.flat().map(Math.abs));
  for (let k = 0; k < most && pivots.length < rows.length; k++) {
    const top = pivots.length;
    let best = top;
    for (let r = top; r < rows.length; r++) if (Math.abs(rows[r][k]) > Math.abs(rows[best][k])) best = r;
    if (Math.abs(rows[best][k]) <= NOTHING * largest) continue;
    [rows[top], rows[best]] = [rows[best], rows[top]];
    const pivot = rows[top][k];
    rows[top] = rows[top].map((v) => v / pivot);
    rows.forEach((row, r) => {
      const of = row[k];
      if (r !== top && of) rows[r] = row.map((v, j) => v - of * rows[top][j]);
    });
    pivots.push(k);
  }
  return { rows: rows.slice(0, pivots.length), pivots };
}

export function times(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((sum, v, k) => sum + v * b[k][j], 0)));
}

function turned(a: Matrix): Matrix {
  return (a[0] ?? []).map((_, k) => a.map((row) => row[k]));
}
