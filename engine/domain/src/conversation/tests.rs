use crate::testing::script::check;

#[test]
fn smoke() {
    check(
        "
        0:00 bob connects
        0:00 ann connects
        0:00 ann starts in sales: hello
        0:05 bob picks from sales
        ",
    );
}
