/** The core module: what the component exports. */
export * from "./abi/exports";
export * from "./abi/numbers";
export { realloc } from "./abi/realloc";
import "./abi/abort";
