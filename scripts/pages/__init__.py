"""The documentation site: from spec/, the hand-written pages in spec/docs/ and the code to a folder of HTML.

sources    the documents, the ledger of evidence and the examples, read once
versions   the documents that can be downloaded
fields     a JSON Schema as rows of a table
samples    an example as Python, curl and JSON
readings   what the SDK makes of answers and deliveries
lifecycle  the six steps as a drawing
links      what hand-written pages link to, in the repository and on the site
reference  the pages of the SDK and of the command line
contents   which pages there are: their paths, titles and what their templates get
console    the two consoles
build      pages to Markdown, Markdown to HTML (zensical), and what comes after
finish     what comes after: search from a disk, links to the evidence
checks     what must be true of the finished site
serve      the site and a sandbox under one origin
packed     files taken from npm packages, by hash
browser    something to look at the site with
blocks     the Python blocks of a page, for the test that runs them
"""
