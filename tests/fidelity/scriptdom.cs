// Parses T-SQL batches with Microsoft's parser, ScriptDom. Each line of the input is a batch in
// base64. The output has one line for each: "ok", or the number and the message of the first error.

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Microsoft.SqlServer.TransactSql.ScriptDom;

class Program
{
    static void Main()
    {
        string line;
        while ((line = Console.ReadLine()) != null)
        {
            string batch = Encoding.UTF8.GetString(Convert.FromBase64String(line));
            IList<ParseError> errors;
            // 150 is SQL Server 2019. The argument sets QUOTED_IDENTIFIER, as the drivers do.
            new TSql150Parser(true).Parse(new StringReader(batch), out errors);
            Console.WriteLine(errors.Count == 0
                ? "ok" : errors[0].Number + " " + errors[0].Message.Replace("\n", " "));
        }
    }
}
