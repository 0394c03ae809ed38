/**
 * An AssemblyScript transform: `@wit("a:b/c@0.1.0#d")` before an exported function names the core module's export.
 *
 * The language can export under identifiers only, and no name of the canonical ABI is one.
 */
import { Transform } from "assemblyscript/transform";

export default class WitExports extends Transform {
  functions = [];

  afterParse(parser) {
    for (const source of parser.sources) {
      for (const statement of source.statements) {
        const decorator = statement.decorators?.find(({ name }) => name.text === "wit");
        if (!decorator) continue;
        const name = statement.name.text;
        this.functions.push({ name, internal: `${source.internalPath}/${name}`, wit: decorator.args[0].value });
      }
    }
  }

  afterCompile(module) {
    for (const { name, internal, wit } of this.functions) {
      module.removeExport(name);
      module.addFunctionExport(internal, wit);
    }
  }
}
