"""``npssl data``: the well-known public sets by name."""

from npssl.cli import command, say


def add(commands):
    """Describe ``npssl data list|fetch|where``."""
    group = commands.add_parser(
        "data",
        help="list, fetch and find the well-known public data sets",
        description="The well-known public data sets by name. A set is looked for in the folder "
        "NPSSL_DATA, then in the user's cache folder, and is fetched only when it is asked for.",
        epilog="example: npssl data fetch simlex-999 wordsim-353",
    )
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    command(actions, "list", list_sets, help="list the sets", example="npssl data list")
    for name, run, help, example in (
        ("fetch", fetch, "fetch sets and check them", "npssl data fetch text8 trec/test"),
        ("where", where, "print where the files of sets are", "npssl data where sst2/train"),
    ):
        action = command(actions, name, run, help=help, example=example)
        action.add_argument(
            "names", nargs="+", metavar="NAME", help="a set (sst2), or one of its files (sst2/dev)"
        )


def list_sets(args):
    """Every set: how much of it is here, size, licence, what it is; and where it comes from."""
    from npssl.data.addresses import SETS
    from npssl.data.cache import data_folder
    from npssl.data.sets import find

    rows = {}
    for name, data in SETS.items():
        files = {}
        for file in data.files:
            here = find(f"{name}/{file.role}")
            files[file.role] = {
                "file": f"{data.folder}/{file.name}",
                "here": str(here[0]) if here else None,
                "addresses": list(file.source.urls),
                "member": file.member or None,
                "bytes": file.source.size,
                "hash": file.source.pin,
                "sha256": file.sha256,
            }
        rows[name] = {
            "about": data.about,
            "licence": data.licence,
            "home": data.home,
            "bytes": data.size,
            "files": files,
        }
    say(args, f"{'name':20}{'here':>6}{'MB':>8}  about (licence)")
    for name, row in rows.items():
        here = sum(file["here"] is not None for file in row["files"].values())
        size = "?" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}"
        pinned = all(file["hash"] for file in row["files"].values())
        say(
            args,
            f"{name:20}{here:>4}/{len(row['files'])}{size:>8}{' ' if pinned else '*'} "
            f"{row['about']} ({row['licence']})",
        )
    say(
        args,
        "* not all of it is pinned: what comes first is recorded, and trusted from then on\n"
        f"here: files found of the set's; looked for in {data_folder()}; MB: to fetch",
    )
    return {"folder": str(data_folder()), "sets": rows}


def fetch(args):
    """Fetch, check, and print the paths."""
    from npssl.data.sets import fetch, select

    for name in args.names:
        select(name)  # a wrong name stops it before anything is fetched
    found = {}
    for name in args.names:
        found[name] = [str(place) for place in fetch(name)]
        say(args, "\n".join(found[name]))
    return found


def where(args):
    """Print the paths of what is here; it is an error if something is not."""
    from npssl.data.sets import find, select

    found = {}
    for name in args.names:
        places = find(name)
        if len(places) < len(select(name)):
            raise ValueError(f"{name!r} is not all here: npssl data fetch {name}")
        found[name] = [str(place) for place in places]
        say(args, "\n".join(found[name]))
    return found
