//! What scripted visitors of the demo talk about.

/// A conversation of a visitor with an agent.
pub(super) struct Talk {
    /// What the visitor calls themselves.
    pub(super) name: &'static str,
    /// The visitor's line and the agent's answer; the first line begins the conversation.
    pub(super) turns: &'static [(&'static str, &'static str)],
    /// The visitor's last words.
    pub(super) thanks: &'static str,
}

impl Talk {
    /// The visitor's line behind so many of theirs.
    pub(super) fn line(&self, said: usize) -> Option<&'static str> {
        let line = self.turns.get(said).map(|(line, _)| *line);
        line.or_else(|| (said == self.turns.len()).then_some(self.thanks))
    }

    /// The agent's answer to the last of so many lines; none to the last words.
    pub(super) fn answer(&self, said: usize) -> Option<&'static str> {
        self.turns.get(said.checked_sub(1)?).map(|(_, answer)| *answer)
    }
}

/// All of them, in the order in which they come.
pub(super) const TALKS: &[Talk] = &[
    Talk {
        name: "Emily",
        turns: &[
            (
                "Hi! I ordered a blue teapot on Monday. Has it been sent yet?",
                "Hello Emily! Yes, it left us this morning and should be with you in two days.",
            ),
            (
                "Lovely. Will somebody ring, or is it left at the door?",
                "The courier rings first; if nobody is in, a neighbour gets it.",
            ),
        ],
        thanks: "Perfect, thank you. Have a nice day!",
    },
    Talk {
        name: "Mikko",
        turns: &[
            ("Moi! Voiko villapaidan vaihtaa isompaan kokoon?", "Hei Mikko! Totta kai, vaihto on ilmainen 30 päivän ajan."),
            (
                "Hienoa. Miten lähetän vanhan takaisin?",
                "Paketissa on palautustarra. Liimaa se laatikkoon ja vie mihin tahansa postiin.",
            ),
        ],
        thanks: "Selvä, kiitos avusta!",
    },
    Talk {
        name: "Ольга",
        turns: &[
            (
                "Здравствуйте! Есть ли зелёный чай в больших пачках?",
                "Здравствуйте, Ольга! Да, есть пачки по 250 и по 500 граммов.",
            ),
            ("А доставка в субботу возможна?", "Да, в субботу мы доставляем с десяти до четырёх."),
        ],
        thanks: "Отлично, тогда закажу большую. Спасибо!",
    },
    Talk {
        name: "James",
        turns: &[
            ("Hello, my invoice shows the old address. Can you change it?", "Of course, James. Which address should be on it?"),
            ("12 Mill Lane, the rest stays the same.", "Done: the corrected invoice is in your mailbox in a few minutes."),
        ],
        thanks: "That was quick. Thanks a lot!",
    },
    Talk {
        name: "Aino",
        turns: &[
            ("Hei, sopiiko tämä kattila induktioliedelle?", "Hei Aino! Kyllä sopii, pohja on magneettista terästä."),
            ("Entä voiko sen pestä koneessa?", "Kattilan voi, mutta kansi kannattaa pestä käsin."),
            ("Onko sitä vielä varastossa?", "On, kolme kappaletta, ja se lähtee vielä tänään."),
        ],
        thanks: "Kiitos paljon, tilaan heti!",
    },
    Talk {
        name: "Иван",
        turns: &[
            (
                "Добрый день. Промокод на первую покупку не срабатывает.",
                "Добрый день, Иван! Он действует для заказов от тридцати евро. Какая у вас сумма?",
            ),
            ("Двадцать восемь, теперь понятно.", "Добавьте любую мелочь, например кружку, и скидка появится сама."),
        ],
        thanks: "Получилось! Большое спасибо.",
    },
    Talk {
        name: "Priya",
        turns: &[
            ("Hi, do you wrap presents?", "Hello Priya! We do: tick \"gift wrap\" in the basket, it costs two euros."),
            ("Can I add a card with a few words?", "Yes, there is a field for it right below, up to 200 letters."),
            ("And the price is not in the parcel, is it?", "No, the invoice comes by mail to you only."),
        ],
        thanks: "Wonderful, that is all I needed. Bye!",
    },
    Talk {
        name: "Tom",
        turns: &[
            ("The handle of my new mug came off :(", "Oh no, I am sorry, Tom! We will send you a new one at no cost."),
            ("Do I have to send the broken one back?", "No need. Keep it for pencils, if you like."),
        ],
        thanks: "Ha, I will. Thank you!",
    },
    Talk {
        name: "Leena",
        turns: &[
            (
                "Hei! Unohdin salasanani, enkä löydä sähköpostia.",
                "Hei Leena! Lähetin uuden linkin juuri. Katso myös roskapostista.",
            ),
            ("Siellähän se oli!", "Hyvä! Linkki on voimassa tunnin."),
        ],
        thanks: "Toimii taas, kiitos!",
    },
    Talk {
        name: "Марина",
        turns: &[
            ("Здравствуйте, можно ли забрать заказ самой?", "Здравствуйте, Марина! Да, в нашем магазине, каждый день до восьми."),
            ("Сколько дней он там лежит?", "Десять дней. Мы напомним вам за два дня до конца."),
        ],
        thanks: "Спасибо, зайду завтра!",
    },
];
