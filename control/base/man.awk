# SPDX-License-Identifier: Apache-2.0
# man.awk - a man page from its .in: the lists of options from the tables of control/base/option.h
#
#   awk -f control/base/man.awk -v version=V -v drops=FILE PAGE.in
#
#   @TABLE FILE.c NAME@    from here on options are those of this table
#   @OPTION name@          the head of one, and the first sentence of what it does; more may follow
#   @DROPS@                the drop reasons
#   @VERSION@
#
# Fails when the page leaves out an option of a table that it names, or has one that there is not.

function fail(text) {
	print FILENAME ": " text >"/dev/stderr"
	failed = 1
	exit 1
}

# The string literals of `text`, joined where C joins them, in part[1] to part[n].
function literals(text, part,    n, piece, gap) {
	n = 0
	while (match(text, /"([^"\\]|\\.)*"/)) {
		gap = substr(text, 1, RSTART - 1)
		piece = substr(text, RSTART + 1, RLENGTH - 2)
		gsub(/\\"/, "\"", piece)
		if (n && gap ~ /^[ \t\n]*$/)
			part[n] = part[n] piece
		else
			part[++n] = piece
		text = substr(text, RSTART + RLENGTH)
	}
	return n
}

# One entry of a table, from its macro to the end of its line or lines.
function read_entry(text,    part, name, bare) {
	if (text ~ /\.positional = true/)
		return
	bare = text ~ /OPTION_(SWITCH|FLAG)\(/ # no literal says what they take
	literals(text, part)
	name = part[1]
	order[table, ++count[table]] = name
	argument[table, name] = text ~ /OPTION_SWITCH\(/ ? "on|off" : bare ? "" : part[2]
	help[table, name] = part[bare ? 2 : 3]
	letter[table, name] = match(text, /, '[a-zA-Z]',/) ? substr(text, RSTART + 3, 1) : ""
}

# Entries begin at the margin of the table, their further lines behind it.
function read_table(file, name,    line, inside, entry) {
	table = file " " name
	if (table in count)
		return
	count[table] = 0
	while ((getline line <file) > 0) {
		if (index(line, "struct option_spec " name "[] = {"))
			inside = 1
		else if (inside && line ~ /^\t(OPTION_|\{0\})/) {
			if (entry)
				read_entry(entry)
			if (line ~ /^\t\{0\}/)
				break
			entry = line
		} else if (inside)
			entry = entry "\n" line
	}
	close(file)
	if (!count[table])
		fail("there is no table " name " in " file)
}

function mdoc(text) {
	gsub(/\\/, "\\e", text)
	gsub(/--/, "\\-\\-", text)
	return text
}

function head(name,    words, n, i, line) {
	line = ".It"
	if (letter[table, name])
		line = line " Fl " letter[table, name] " ,"
	line = line " Fl -" name
	if (argument[table, name] ~ /^[a-z]+(\|[a-z]+)+$/) {
		line = line " Cm"
		n = split(argument[table, name], words, "|")
		for (i = 1; i <= n; i++)
			line = line (i > 1 ? " |" : "") " " words[i]
	} else if (argument[table, name])
		line = line " Ar " tolower(argument[table, name])
	return line
}

function sentence(text,    default_) {
	if (match(text, / \([^()]*\)$/)) {
		default_ = substr(text, RSTART + 2, RLENGTH - 3)
		text = substr(text, 1, RSTART - 1)
	}
	if (text !~ /^podswitch/)
		text = toupper(substr(text, 1, 1)) substr(text, 2)
	print mdoc(text) "."
	if (default_)
		print "Default: " mdoc(default_) "."
}

/^@TABLE / {
	gsub(/@/, "")
	read_table($2, $3)
	used[table] = 1
	next
}

/^@OPTION / {
	gsub(/@/, "")
	if (!((table, $2) in help))
		fail("line " FNR ": " table " has no option " $2)
	placed[table, $2] = 1
	print head($2)
	sentence(help[table, $2])
	next
}

/^@DROPS@$/ {
	while ((getline line <drops) > 0)
		if (match(line, /^DROP\(/)) {
			n = literals(line, part)
			sub(/^DROP\([A-Z0-9_]*, */, "", line)
			sub(/,.*/, "", line)
			print ".It Cm " line
			print mdoc(part[1])
		}
	next
}

{
	gsub(/@VERSION@/, version)
	print
}

END {
	if (failed)
		exit 1
	for (table in used)
		for (i = 1; i <= count[table]; i++)
			if (!((table, order[table, i]) in placed))
				fail("leaves out --" order[table, i] " of " table)
}
