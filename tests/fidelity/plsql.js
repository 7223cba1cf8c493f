// Parses Oracle SQL with the ANTLR grammar for PL/SQL of the npm package antlr4ts-sql. Each line of
// the input is a statement in base64. The output has one line for each: "ok", or the first error.

const { antlr4tsSQL, SQLDialect } = require("antlr4ts-sql");
const readline = require("readline");

const grammar = new antlr4tsSQL(SQLDialect.PLSQL);
const END_OF_INPUT = -1;

function verdict(statement) {
  const errors = [];
  const listener = {
    syntaxError: (_recognizer, _symbol, _line, column, message) =>
      errors.push(`column ${column}: ${message.slice(0, 80)}`),
  };
  const parser = grammar.getParser(grammar.getTokens(`${statement};`, [listener]), [listener]);
  grammar.getParseTree(parser);
  if (errors.length === 0 && parser.currentToken.type !== END_OF_INPUT) {
    errors.push(`unexpected ${parser.currentToken.text}`);
  }
  return errors.length ? errors[0].replaceAll("\n", " ") : "ok";
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  console.log(verdict(Buffer.from(line, "base64").toString("utf8")));
});
