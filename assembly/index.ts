/** The core module: what the component exports. */
export * from "./abi/exports";
export * from "./abi/numbers";
export { realloc } from "./abi/realloc";
// For the tests: what is allocated and not released.
export { inUse } from "./memory";
import "./abi/abort";
