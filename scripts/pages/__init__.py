"""The documentation site: from spec/, the hand-written pages in spec/docs/ and the code to a folder of HTML.

sources    the documents, the ledger of evidence and the examples, read once
fields     a JSON Schema as rows of a table
samples    an example as Python, curl and JSON
lifecycle  the six steps as a drawing
reference  the SDK, the command line and the errors
contents   which pages there are: their paths, titles and what their templates get
build      pages to Markdown, Markdown to HTML (zensical), and what comes after
checks     what must be true of the finished site
packed     files taken from npm packages, by hash
"""
