// The page of a table.

import { table } from "./tables_state";

export function Tables() {
  return <p>{table.value?.header.name}</p>;
}
