"""The public data sets that `npssl.data.sets` knows: where each is, and its hashes.

Addresses in public repositories name the commit, so that they mean the same
bytes for ever.  Licences are as their publishers state them; "research" means
that none is stated beyond that use.  None of these data come with npssl.
"""

from npssl.data.sets import DataSet, File, Source

SETS: dict[str, DataSet] = {}


def _set(name, *files, about, licence, home, folder=None):
    SETS[name] = DataSet(name, about, licence, home, files, folder or name)


def _files(root):
    """Files below an address: size in bytes and sha256 of each."""

    def file(role, path, size, sha256, name=None):
        pin = sha256 and f"sha256:{sha256}"
        source = Source((f"{root}/{path}",), pin, size)
        return File(role, name or source.name, source, sha256=sha256)

    return file


def _repository(owner, commit):
    """Files of a public repository at a commit."""
    return _files(f"https://raw.githubusercontent.com/{owner}/{commit}")


def _hub(owner, commit):
    """Files of a model that Hugging Face holds, at a commit."""
    return _files(f"https://huggingface.co/{owner}/resolve/{commit}")


_word2vec = _repository("tmikolov/word2vec", "20c129af10659f7c50e86e3be406df663beff438")
_similarity = _repository("mfaruqui/eval-word-vectors", "94b3dd9fdbac7ed08dbee7179cd5ee464acf0594")
_benchmarks = _repository("vecto-ai/word-benchmarks", "9b61d0e067e2e68af22160d09450f82d9544cd70")
_char_rnn = _repository("karpathy/char-rnn", "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e")
_sst2 = _repository("eyalbd2/Reproducing-AutoPrompt", "6288fb5bec9c572f2492875ae0111df5b6daed11")
_cola = _repository("nyu-mll/CoLA-baselines", "dd095d3646ed05a315280aaa8ed4ec84ba435b3e")
_stsb = _repository("PhilipMay/stsb-multi-mt", "30de0dec4ee199b7f42351d3f1a0b19592955385")
_trec = _repository("FreedomIntelligence/qnn", "77f549372d4371e7f2d52e77bc18df5096dd4779")
_ag_news = _repository("mhjabreel/CharCnn_Keras", "555590db4219b1243abb1918effd6a7425a2d75f")
_nltk = _repository("nltk/nltk_data", "5db857e6f7df11eabb5e5665836db9ec8df07e28")
_xquad = _repository("deepmind/xquad", "60cac411649156efb6aab9dd4c9cde787a2c0345")
_wnut = _repository("leondz/emerging_entities_17", "e52a2d2a71ac1a051ca2d532eef28653c5c02603")
_ud = _repository(
    "UniversalDependencies/UD_English-EWT", "15d613d8447b3478787d4c278730a1e48a945efb"
)
_omniglot = _repository("brendenlake/omniglot", "057f034baf2ecb8530bc5710e5a23584d2a519cc")
_minilm = _hub("sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41")

_text8 = Source(
    ("http://mattmahoney.net/dc/text8.zip",),
    "sha256:a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
    31_344_016,
)
_wikitext = Source(
    (
        "https://wikitext.smerity.com/wikitext-2-v1.zip",
        "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
    ),
    "md5:542ccefacc6c27f945fb54453812b3cd",
    None,
)
_glove = Source(
    ("https://nlp.stanford.edu/data/glove.6B.zip",),
    "sha256:617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    862_182_613,
)
_snli = Source(
    ("https://nlp.stanford.edu/projects/snli/snli_1.0.zip",),
    "sha256:afb3d70a5af5d8de0d9d81e2637e0fb8c22d1235c2749d83125ca43dab0dbd3e",
    94_550_081,
)
_cifar = Source(
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
)
_bsds = Source(
    (
        "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
    ),
    None,
    None,
)


def _mnist(role, name, size, packed, unpacked):
    bases = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    source = Source(tuple(base + name for base in bases), f"sha256:{packed}", size)
    return File(role, name, source, sha256=unpacked)


def _squad(role, name, size, sha256):
    address = f"https://rajpurkar.github.io/SQuAD-explorer/dataset/{name}"
    return File(role, name, Source((address,), f"sha256:{sha256}", size), sha256=sha256)


def _gpt2(role, name, size, sha256):
    address = f"https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/{name}"
    return File(role, name, Source((address,), f"sha256:{sha256}", size), sha256=sha256)


_set(
    "text8",
    File("text", "text8", _text8, "text8"),
    about="word2vec, character models: 100 million characters of Wikipedia, a-z and blanks",
    licence="GFDL / CC BY-SA 3.0 (Wikipedia)",
    home="http://mattmahoney.net/dc/textdata.html",
)
_set(
    "wikitext-2",
    File("train", "wiki.train.tokens", _wikitext, "wikitext-2/wiki.train.tokens"),
    File("valid", "wiki.valid.tokens", _wikitext, "wikitext-2/wiki.valid.tokens"),
    File("test", "wiki.test.tokens", _wikitext, "wikitext-2/wiki.test.tokens"),
    about="language modelling: 2 million words of Wikipedia articles, with <unk>",
    licence="CC BY-SA 3.0 (Wikipedia)",
    home="https://arxiv.org/abs/1609.07843",
)
_set(
    "tinyshakespeare",
    _char_rnn(
        "text",
        "data/tinyshakespeare/input.txt",
        1_115_394,
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    about="character models: 1.1 million characters of Shakespeare",
    licence="public domain",
    home="https://github.com/karpathy/char-rnn",
)
_set(
    "wordsim-353",
    _similarity(
        "all",
        "data/word-sim/EN-WS-353-ALL.txt",
        7_405,
        "ce12919b240af45bdf46d243601eaca2b6212b159b5e7e9b435ee7ee40c5619c",
    ),
    _similarity(
        "similarity",
        "data/word-sim/EN-WS-353-SIM.txt",
        4_002,
        "f1da938998863c94e53f72f984a5c6e215f0b46c323aae8f0f4930703a339107",
    ),
    _similarity(
        "relatedness",
        "data/word-sim/EN-WS-353-REL.txt",
        5_134,
        "66a7c88100624d0a391605ff61ce84e11d11ee620d51ec0298da49592838f8fa",
    ),
    about="word vectors: 353 pairs of words with human scores",
    licence="free for research",
    home="http://alfonseca.org/eng/research/wordsim353.html",
    folder="word-similarity",
)
_set(
    "simlex-999",
    _similarity(
        "all",
        "data/word-sim/EN-SIMLEX-999.txt",
        18_024,
        "405394ffb7d25f6d0e3c041f87c9f27d29dc6b047506769953e85c4523b11685",
    ),
    about="word vectors: 999 pairs of words scored by similarity proper",
    licence="free for research",
    home="https://fh295.github.io/simlex.html",
    folder="word-similarity",
)
_set(
    "analogies",
    _word2vec(
        "all",
        "questions-words.txt",
        603_955,
        "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
    ),
    about="word vectors: 19,544 questions a : b = c : ? in 14 sections",
    licence="Apache-2.0",
    home="https://code.google.com/archive/p/word2vec/",
    folder="word-analogy",
)
_set(
    "word-categorization",
    _benchmarks(
        "ap",
        "word-categorization/monolingual/en/ap.csv",
        9_283,
        "0efdcdf298946620f4d3db17743483b45ac09169c3ef943761d52ff9a0de8974",
    ),
    _benchmarks(
        "bless",
        "word-categorization/monolingual/en/bless.csv",
        4_167,
        "cf14ae0c0feeb78a7d85e0a3ca725ab5f573677ceaa950b7417db749a7012cc3",
    ),
    about="word vectors: nouns in 21 (AP) and 17 (BLESS) categories",
    licence="free for research",
    home="https://github.com/vecto-ai/word-benchmarks",
)
_set(
    "word-outlier",
    _benchmarks(
        "all",
        "outlier-detection/monolingual/en/8-8-8.csv",
        1_692,
        "c3b02e9323cbf0a31a30e9ef35be87c687f75f671939f46a84fc74745c96cb35",
    ),
    about="word vectors: 8 clusters of 8 words, each with 8 outliers",
    licence="free for research",
    home="https://github.com/vecto-ai/word-benchmarks",
)
_set(
    "glove",
    File("50d", "glove.6B.50d.txt", _glove, "glove.6B.50d.txt"),
    File("100d", "glove.6B.100d.txt", _glove, "glove.6B.100d.txt"),
    File("200d", "glove.6B.200d.txt", _glove, "glove.6B.200d.txt"),
    File("300d", "glove.6B.300d.txt", _glove, "glove.6B.300d.txt"),
    about="word vectors: GloVe 6B, 400,000 words in 50 to 300 dimensions",
    licence="PDDL 1.0 (public domain)",
    home="https://nlp.stanford.edu/projects/glove/",
)
_set(
    "sst2",
    _sst2(
        "train",
        "glue_data/SST-2/train_full.tsv",
        3_806_081,
        "48eac26399f8456935f81dd9e3a745c1430adb6c62e233ccfe22db4a0d15d1d1",
        name="train.tsv",
    ),
    _sst2(
        "dev",
        "glue_data/SST-2/dev.tsv",
        94_931,
        "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",
    ),
    _sst2(
        "test",
        "glue_data/SST-2/test-labeled.tsv",
        194_804,
        "c0efc56ade6e0598d0f8daca1976e232aee0bcabca8e599341cad290d9d10b3c",
        name="test.tsv",
    ),
    about="sentiment, 2 classes: SST-2 in GLUE form, with the labels of the test part",
    licence="research",
    home="https://nlp.stanford.edu/sentiment/",
)
_set(
    "cola",
    _cola(
        "train",
        "acceptability_corpus/cola_public/raw/in_domain_train.tsv",
        428_578,
        "f320a10f92d3bce6b29152fde322a362eac39238e50d8de0c8815457fdf4fc12",
    ),
    _cola(
        "dev",
        "acceptability_corpus/cola_public/raw/in_domain_dev.tsv",
        25_957,
        "77176f6a03faa5a1c4f23c69971fc1bff565931112fb65af47b2d6e24b7f42f7",
    ),
    _cola(
        "dev-out",
        "acceptability_corpus/cola_public/raw/out_of_domain_dev.tsv",
        27_754,
        "201b9c57b2a20f1282242eec0ed8995729e3be19c29a46c047b3727338836c05",
    ),
    about="acceptability, 2 classes: sentences from the linguistic literature",
    licence="research",
    home="https://nyu-mll.github.io/CoLA/",
)
_set(
    "stsb",
    _stsb(
        "train",
        "data/stsb-en-train.csv",
        708_863,
        "e1e84fec60bbb598735552f54a35f4949904a484750fd2cb11e2720e49f63da6",
    ),
    _stsb(
        "dev",
        "data/stsb-en-dev.csv",
        204_675,
        "d29586e96558c4eb52cf5ea5d14e9c24d3bf0e44f111b017caba43a5adc33226",
    ),
    _stsb(
        "test",
        "data/stsb-en-test.csv",
        158_891,
        "11523b625219e94e9ca05d2816b5f02cac1614c5894fe657376fa0806378d053",
    ),
    about="sentence similarity: pairs scored 0 to 5 (STS benchmark)",
    licence="CC BY-SA 4.0",
    home="http://ixa2.si.ehu.eus/stswiki/index.php/STSbenchmark",
)
_set(
    "snli",
    File("train", "snli_1.0_train.jsonl", _snli, "snli_1.0/snli_1.0_train.jsonl"),
    File("dev", "snli_1.0_dev.jsonl", _snli, "snli_1.0/snli_1.0_dev.jsonl"),
    File("test", "snli_1.0_test.jsonl", _snli, "snli_1.0/snli_1.0_test.jsonl"),
    about="inference, 3 classes: 570,000 sentence pairs",
    licence="CC BY-SA 4.0",
    home="https://nlp.stanford.edu/projects/snli/",
)
_set(
    "trec",
    _trec(
        "train",
        "data/TREC/train_5500.label",
        333_379,
        "8bd6e79493f43bbd22c364587366a1dced54e1e31259eaa92721a0f526031116",
    ),
    _trec(
        "test",
        "data/TREC/TREC_10.label",
        23_269,
        "86ad53c8fc9d397ab2f4be7c967d8efb470b260140557d3e57afad69d1b88b76",
    ),
    about="questions by what they ask for, 6 or 50 classes (latin-1)",
    licence="research",
    home="https://cogcomp.seas.upenn.edu/Data/QA/QC/",
)
_set(
    "ag-news",
    _ag_news("train", "data/ag_news_csv/train.csv", None, None),
    _ag_news(
        "test",
        "data/ag_news_csv/test.csv",
        1_857_427,
        "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
    ),
    _ag_news(
        "classes",
        "data/ag_news_csv/classes.txt",
        31,
        "612dbfa932f07a6ed837295a7d5746ce7412e7bb4bc32ba919fdb3cda3a1b9b5",
    ),
    about="news by topic, 4 classes",
    licence="non-commercial research",
    home="https://github.com/mhjabreel/CharCnn_Keras",
)
_set(
    "movie-reviews",
    _nltk("all", "packages/corpora/movie_reviews.zip", None, None),
    about="sentiment of 2,000 long reviews (Pang and Lee, polarity 2.0)",
    licence="CC BY 4.0",
    home="https://www.cs.cornell.edu/people/pabo/movie-review-data/",
)
_set(
    "squad",
    _squad(
        "train",
        "train-v1.1.json",
        30_288_272,
        "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
    ),
    _squad(
        "dev",
        "dev-v1.1.json",
        4_854_279,
        "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
    ),
    about="extractive question answering (SQuAD 1.1)",
    licence="CC BY-SA 4.0",
    home="https://rajpurkar.github.io/SQuAD-explorer/",
)
_set(
    "xquad",
    _xquad(
        "en",
        "xquad.en.json",
        609_383,
        "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
    ),
    about="extractive question answering: 1,190 questions of SQuAD 1.1 dev",
    licence="CC BY-SA 4.0",
    home="https://github.com/deepmind/xquad",
    folder="squad-mini",
)
_set(
    "wnut17",
    _wnut(
        "train",
        "wnut17train.conll",
        493_781,
        "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
    ),
    _wnut(
        "dev",
        "emerging.dev.conll",
        114_749,
        "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
    ),
    _wnut(
        "test",
        "emerging.test.annotated",
        192_425,
        "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
    ),
    about="named entities, BIO tags, 6 types",
    licence="CC BY 4.0",
    home="https://github.com/leondz/emerging_entities_17",
)
_set(
    "ud-ewt",
    _ud("train", "en_ewt-ud-train.conllu", None, None),
    _ud(
        "dev",
        "en_ewt-ud-dev.conllu",
        1_805_545,
        "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
    ),
    _ud(
        "test",
        "en_ewt-ud-test.conllu",
        1_804_515,
        "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
    ),
    about="parts of speech and dependencies (Universal Dependencies, English)",
    licence="CC BY-SA 4.0",
    home="https://universaldependencies.org",
)
_set(
    "mnist",
    _mnist(
        "train-images",
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _mnist(
        "train-labels",
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _mnist(
        "test-images",
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _mnist(
        "test-labels",
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    about="images: 70,000 handwritten digits, 28 x 28 (IDX)",
    licence="CC BY-SA 3.0 (as usually stated)",
    home="http://yann.lecun.com/exdb/mnist/",
)
_set(
    "cifar-10",
    File("all", "cifar-10-binary.tar.gz", _cifar),
    about="images: 60,000 of 10 classes, 32 x 32 colour, binary form",
    licence="research",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
)
_set(
    "omniglot",
    _omniglot(
        "small1",
        "python/images_background_small1.zip",
        1_319_022,
        "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    ),
    _omniglot(
        "small2",
        "python/images_background_small2.zip",
        1_580_917,
        "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    ),
    _omniglot(
        "runs",
        "python/one-shot-classification/all_runs.zip",
        352_787,
        "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
    ),
    about="images: characters of 10 alphabets, and the 20 one-shot runs",
    licence="MIT",
    home="https://github.com/brendenlake/omniglot",
)
_set(
    "bsds500",
    File("all", "BSR_bsds500.tgz", _bsds),
    about="images: 500 natural photographs",
    licence="non-commercial research",
    home="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html",
)
_set(
    "gpt2-bpe",
    _gpt2(
        "vocabulary",
        "encoder.json",
        1_042_301,
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    ),
    _gpt2(
        "merges",
        "vocab.bpe",
        456_318,
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    ),
    about="tokens: the byte-pair vocabulary of GPT-2",
    licence="MIT",
    home="https://github.com/openai/gpt-2",
)

_set(
    "all-MiniLM-L6-v2",
    _minilm(
        "config",
        "config.json",
        612,
        "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    ),
    _minilm(
        "weights",
        "model.safetensors",
        90_868_376,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    _minilm(
        "vocabulary",
        "vocab.txt",
        231_508,
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
    about="weights: an encoder of sentences, BERT of 6 x 384",
    licence="Apache-2.0",
    home="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
)
