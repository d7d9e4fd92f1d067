"""Words that the made-up names and addresses are put together from. Localities and their postcodes are real; people and funds are not."""

GIVEN_NAMES = (
    "Amelia", "Angus", "Aisha", "Anh", "Beatrice", "Callum", "Chloe", "Daniel", "Deepa", "Edward", "Eloise", "Ethan", "Fatima",
    "Fergus", "Freya", "Georgia", "Giovanni", "Grace", "Hamish", "Harriet", "Helen", "Hugo", "Imogen", "Isaac", "Jarrah",
    "Jasmine", "Jia", "Joanna", "Karim", "Kirra", "Lachlan", "Leila", "Liam", "Linh", "Lucinda", "Malcolm", "Marcus", "Matilda",
    "Mei", "Nathan", "Niamh", "Noah", "Olivia", "Oscar", "Patrick", "Petra", "Quentin", "Rachel", "Rohan", "Ruby", "Samuel",
    "Sanjay", "Sienna", "Sofia", "Stefan", "Tahlia", "Theo", "Thomas", "Uma", "Vikram", "Vivian", "William", "Xavier", "Yasmin",
    "Zara", "Zoe",
)  # fmt: skip

SURNAMES = (
    "Abbott", "Achterberg", "Aldridge", "Anand", "Armitage", "Atkinson", "Barlow", "Bellamy", "Bhatt", "Blackwood", "Bosworth",
    "Brennan", "Bui", "Callaghan", "Camilleri", "Carmody", "Castellano", "Chalmers", "Chandra", "Chen", "Cosgrove", "Dalgleish",
    "D’Angelo", "Delaney", "Dimitriou", "Donnelly", "Drummond", "Eastwood", "Ellison", "Fairweather", "Farrugia", "Ferraro",
    "Fitzgerald", "Fraser", "Galbraith", "Gallo", "Georgiou", "Gillespie", "Goldsworthy", "Grainger", "Gupta", "Haddad",
    "Halloran", "Hargreaves", "Hartigan", "Healy", "Henshaw", "Hoang", "Holloway", "Huynh", "Iyer", "Jankovic", "Jardine",
    "Kapoor", "Karras", "Kavanagh", "Keane", "Kelleher", "Kowalski", "Lachapelle", "Lambert", "Langford", "Lindqvist",
    "Lombardi", "Lyons", "Macarthur", "MacLeod", "Mahoney", "Marchetti", "McAllister", "McKenna", "Mehta", "Mitchell",
    "Moretti", "Morrissey", "Nakamura", "Newbold", "Ngata", "Nguyen", "Nolan", "O’Brien", "O’Connor", "Okafor", "Papadopoulos",
    "Parekh", "Pascoe", "Pham", "Pickering", "Prendergast", "Quach", "Quigley", "Radcliffe", "Ramsay", "Rasmussen", "Reilly",
    "Romano", "Rosenberg", "Rossi", "Saunders", "Schneider", "Selwyn", "Shanahan", "Sharma", "Sinclair", "Stavros", "Stirling",
    "Sutherland", "Tanaka", "Tran", "Tremaine", "Truscott", "Vaughan", "Venkatesan", "Vella", "Walcott", "Wallington",
    "Wentworth", "Whitfield", "Winterbourne", "Wong", "Yeo", "Yildiz", "Zammit", "Zhang",
)  # fmt: skip

STREETS = (
    "Acacia Avenue", "Banksia Street", "Beach Road", "Bourke Street", "Bridge Road", "Canterbury Road", "Church Street",
    "Collins Street", "Elizabeth Street", "Esplanade", "George Street", "Grevillea Crescent", "Hunter Street", "Ironbark Lane",
    "Jacaranda Drive", "King William Road", "Lygon Street", "Macquarie Street", "Mitchell Street", "Norfolk Terrace",
    "Pacific Highway", "Queen Street", "Railway Parade", "Sturt Street", "Victoria Street", "Wattle Grove", "William Street",
)  # fmt: skip

LOCALITIES = (
    ("Sydney", "NSW", "2000"), ("Parramatta", "NSW", "2150"), ("Chatswood", "NSW", "2067"), ("Manly", "NSW", "2095"),
    ("Newcastle", "NSW", "2300"), ("Wollongong", "NSW", "2500"), ("Orange", "NSW", "2800"), ("Albury", "NSW", "2640"),
    ("Melbourne", "VIC", "3000"), ("Richmond", "VIC", "3121"), ("Hawthorn", "VIC", "3122"), ("Geelong", "VIC", "3220"),
    ("Ballarat", "VIC", "3350"), ("Bendigo", "VIC", "3550"), ("Brisbane City", "QLD", "4000"), ("Toowong", "QLD", "4066"),
    ("Toowoomba City", "QLD", "4350"), ("Cairns City", "QLD", "4870"), ("Adelaide", "SA", "5000"), ("Norwood", "SA", "5067"),
    ("Perth", "WA", "6000"), ("Fremantle", "WA", "6160"), ("Hobart", "TAS", "7000"), ("Launceston", "TAS", "7250"),
    ("Darwin City", "NT", "0800"), ("Canberra", "ACT", "2601"), ("Braddon", "ACT", "2612"),
)  # fmt: skip

FUND_FORMS = (
    "{surname} Family Superannuation Fund", "{surname} Super Fund", "The {surname} Retirement Fund",
    "{surname} & {other} Superannuation Fund", "{given} {surname} Super Fund", "{surname} Family SMSF",
    "{place} Retirement Fund", "{surname} Pension Fund", "{place} Street Super Fund", "{surname} Investments SMSF",
)  # fmt: skip

PLACES = (
    "Bluegum", "Boronia", "Bottlebrush", "Brolga", "Cassowary", "Coolabah", "Currawong", "Eucalypt", "Galah", "Gumnut",
    "Ironbark", "Kestrel", "Kookaburra", "Lorikeet", "Lyrebird", "Mallee", "Melaleuca", "Mulga", "Paperbark", "Pelican",
    "Redgum", "Rosella", "Sandgate", "Saltbush", "Spinifex", "Stringybark", "Tallowwood", "Waratah", "Wedgetail", "Yarra",
)  # fmt: skip

LEGAL_ENTITY_TYPES = (
    "Self-managed superannuation fund, corporate trustee",
    "Self-managed superannuation fund, individual trustees",
    "Small APRA fund",
)

TAGS = ("audit due", "corporate trustee", "crypto", "new client", "pension", "property", "return lodged", "review", "wind-up")

ACCOUNTS = (
    ("242", "Employer contributions", "income"), ("285", "Investment income", "income"), ("301", "Accountancy fees", "expense"),
    ("501", "Member balances", "equity"), ("604", "Cash at bank", "asset"), ("776", "Shares in listed companies", "asset"),
    ("850", "Income tax payable", "liability"),
)  # fmt: skip
"""Code, name and type of the accounts of a fund."""

INVESTMENTS = (("WTLG", "Wattle Grove Industries"), ("BGMR", "Bluegum Resources"))
